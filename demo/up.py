"""Airflow's scheduler and UI over the demo organization, on an emulated AWS that can be changed: `make up-demo`.

The only place of the demo in which remediation is on. What it changes lasts as long as the emulated AWS does, which
ends with this program.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from demo.emulated_aws.server import EmulatedAws
from demo.environment import enter_demo, ignored_in_demo
from demo.organization import REMEDIATION_ROLE, demo_world
from demo.waivers import write_waivers
from ecr_audit.errors import FinalError
from ecr_audit.publish.store import newest_date
from ecr_audit.settings import Settings, load_data_folder
from ecr_audit.settings.evidence import demo_evidence
from ecr_audit.terminal import print_error

# As many nights as make audit has. A real organization's plan asks for 30, as the demo's does after make demo-history.
REMEDIATION = {"ECR_AUDIT_REMEDIATION_ROLE_NAME": REMEDIATION_ROLE, "ECR_AUDIT_REMEDIATION_NIGHTS": "2"}


def main() -> int:
    """Serve until stopped, by Ctrl-C or SIGTERM; returns the exit code."""
    if ignored := ignored_in_demo(os.environ):
        sys.stdout.write(f"{ignored}\n")
    try:
        data = load_data_folder()
        if newest_date(Settings.model_construct(data=data)) is None:
            sys.stdout.write(f"{data} has no audit of the demo yet: make audit, then make up-demo.\n")
            return 1
    except FinalError as fault:
        print_error(fault)
        return 1
    today = datetime.now(UTC).date()
    waivers = write_waivers(Path(data, "waivers.yaml"), today)
    with EmulatedAws(demo_world(2, today)) as aws:
        enter_demo(aws.endpoint_url)
        settings = {"ECR_AUDIT_WAIVERS": str(waivers), "ECR_AUDIT_EVIDENCE": demo_evidence(data)}
        return _run_airflow({"ECR_AUDIT_DATA": str(data)} | settings | REMEDIATION)


def _run_airflow(settings: dict[str, str]) -> int:
    # Otherwise a terminal's Ctrl-C would end this program, and AWS with it, before Airflow has stopped.
    signal.signal(signal.SIGINT, lambda *_: None)
    command = [str(shutil.which("airflow")), "standalone"]
    airflow = subprocess.Popen(command, env=os.environ | settings)  # noqa: S603 - the environment's own program
    # It stops its parts on SIGINT only.
    signal.signal(signal.SIGTERM, lambda *_: airflow.send_signal(signal.SIGINT))
    return airflow.wait()


if __name__ == "__main__":
    sys.exit(main())
