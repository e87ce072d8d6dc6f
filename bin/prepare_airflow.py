"""Creates or upgrades Airflow's database, the role of those who read the pages, and the first user, admin.

Run before any other part of Airflow: by the service `init` of docker-compose.yaml, and by the migration job of
deploy/helm/values.yaml. It may run again at any time. Where AIRFLOW_ADMIN_PASSWORD is set, it is the password that
admin gets when that user is made.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

ROLE = "Auditor"

# The pages need Plugins, which the roles of FAB below Op lack. The rest is what they link to: DAGs, how runs ended,
# and why. The role can change only the user's own password.
PERMISSIONS = (
    ("can_read", "Website"),
    ("can_read", "Plugins"),
    ("can_read", "DAGs"),
    ("can_read", "DAG Runs"),
    ("can_read", "DAG Versions"),
    ("can_read", "DAG Warnings"),
    ("can_read", "ImportError"),
    ("can_read", "Task Instances"),
    ("can_read", "Task Logs"),
    ("can_read", "Assets"),
    ("can_read", "My Profile"),
    ("can_read", "My Password"),
    ("can_edit", "My Password"),
    ("menu_access", "DAGs"),
    ("menu_access", "Assets"),
)


def main() -> None:
    """Prepare all three; raises Airflow's errors."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True)
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
    from airflow.utils.providers_configuration_loader import providers_configuration_loaded

    @providers_configuration_loaded
    def prepare() -> None:
        with get_application_builder() as builder:
            make_role(builder.sm)
            if password := os.environ.get("AIRFLOW_ADMIN_PASSWORD"):
                make_admin(builder.sm, password)

    prepare()


def make_role(security: Any) -> None:
    """Create or update the role, with exactly these permissions."""
    role = security.add_role(ROLE)
    wanted = {security.create_permission(*each) for each in PERMISSIONS}
    for permission in wanted - set(role.permissions):
        security.add_permission_to_role(role, permission)
    for permission in set(role.permissions) - wanted:
        security.remove_permission_from_role(role, permission)
    print(f"Role {ROLE}: {len(wanted)} permissions")


def make_admin(security: Any, password: str) -> None:
    """Create the first user, who creates the others. An existing one is not changed."""
    if security.find_user("admin") is None:
        role = security.find_role("Admin")
        if not security.add_user("admin", "Admin", "Admin", "admin@localhost", role, password=password):
            raise SystemExit("The user admin could not be created; see the lines above.")
        print("User admin created")


if __name__ == "__main__":
    main()
