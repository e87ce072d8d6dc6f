"""Serves the dashboard on this machine: `serve.py <compliance.duckdb>`, run by the Python of .venv-superset.

Brings Superset's own database up to date, imports the folder `export`, gives the administrator a new password, and
serves on the loopback interface until it is stopped. State is kept under SUPERSET_HOME (default: ./.superset).
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from urllib.parse import quote

HERE = Path(__file__).resolve().parent
ADMIN = "admin"


def main() -> None:
    """Set everything up, print where and how to log in, and become the web server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("published", type=Path, help="the published DuckDB file")
    parser.add_argument("--port", type=int, default=8088)
    options = parser.parse_args()
    if not options.published.is_file():
        sys.exit(f"{options.published} is not there yet: run make audit, or set ECR_AUDIT_DATA.")
    home = _prepare_home()
    password = secrets.token_urlsafe(16)
    print(f"Setting Superset up; its log: {home / 'setup.log'}", flush=True)
    with (home / "setup.log").open("w") as log, redirect_stdout(log), redirect_stderr(log):
        _set_up(export_files(options.published), password)
    print(f"http://127.0.0.1:{options.port}/superset/dashboard/ecr-audit/")
    print(f"User {ADMIN}, password {password} (a new one at each start)", flush=True)
    # Threads rather than processes: what they share is small, and one copy of Superset takes 300 MB.
    server = ["gunicorn", "--bind", f"127.0.0.1:{options.port}", "--worker-class", "gthread", "--threads", "8"]
    server += ["--timeout", "120", "--log-level", "warning", "superset.app:create_app()"]
    os.execv(Path(sys.executable).with_name("gunicorn"), server)  # noqa: S606 - the environment's own gunicorn


def export_files(published: Path) -> dict[str, str]:
    """The export, as Superset's importer takes it: text by name; the connection leads to the published file."""
    files = {path.relative_to(HERE / "export").as_posix(): path.read_text() for path in HERE.glob("export/**/*.yaml")}
    connection = "databases/ECR_audit.yaml"
    files[connection] = files[connection].replace("/PUBLISHED/compliance.duckdb", quote(str(published.resolve())))
    return files


def _prepare_home() -> Path:
    """Superset's folder and settings. It must be done before Superset is imported."""
    home = Path(os.environ.setdefault("SUPERSET_HOME", ".superset")).resolve()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = home / "secret_key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(secrets.token_urlsafe(48))
    os.environ["SUPERSET_HOME"] = str(home)
    os.environ["SUPERSET_CONFIG_PATH"] = str(HERE / "superset_config.py")
    return home


def _set_up(files: dict[str, str], password: str) -> None:
    """Does the work of `superset db upgrade`, `superset init` and an import through the UI, in one process."""
    from superset.app import create_app

    with create_app().app_context():
        from flask import g
        from flask_migrate import upgrade
        from superset import appbuilder, security_manager
        from superset.commands.importers.v1.assets import ImportAssetsCommand

        upgrade()
        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        g.user = security_manager.find_user(ADMIN) or security_manager.add_user(
            ADMIN, "ECR", "Audit", "admin@localhost", security_manager.find_role("Admin"), password=password
        )
        security_manager.reset_password(g.user.id, password)
        ImportAssetsCommand(files).run()


if __name__ == "__main__":
    main()
