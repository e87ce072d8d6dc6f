"""Checks each permission and setting that a nightly run needs, and lists what to fix; exit code 1 if there is any.

`aws` checks with the environment's credentials; `demo` does the same on the emulated AWS of the demo organization.
`make doctor` and `make doctor-demo` call this in the right environment.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

# First: without it, a start outside make would end with a traceback.
from startup import require  # isort: skip
from audit import set_data_folder
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ecr_audit.terminal import open_console

STYLES = {"ok": "green", "warn": "yellow", "FAIL": "bold red", "skipped": "dim"}
# Accounts listed per check; their total is always printed.
MOST_CASES = 20


def main() -> int:
    """Print the result of every check as it comes; returns the exit code."""
    parser = argparse.ArgumentParser(prog="doctor", description=__doc__)
    parser.add_argument("where", choices=("demo", "aws"))
    where = parser.parse_args().where
    set_data_folder(where)
    console = open_console()
    # Outside of a task, Airflow would not look for connections in its database.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    # The checks report what the library would log as warnings.
    logging.getLogger("ecr_audit").setLevel(logging.ERROR)
    statuses: Counter[str] = Counter()
    with _demo(console) if where == "demo" else contextlib.nullcontext(), console.status("Checking …"):
        from ecr_audit.doctor import examine

        for result in examine(_connect_hub, _postgres_uri, _alert_channels):
            statuses[result.status] += 1
            _print(console, result)
    console.print()
    if statuses["FAIL"]:
        console.print(f"[bold red]{statuses['FAIL']} to fix[/]; docs/deploy.md has the set-up step by step.")
        return 1
    seen_less = " Coverage would be incomplete, see the warnings." if statuses["warn"] else ""
    console.print(f"[bold green]Nothing found that would make a nightly run fail.[/]{seen_less}")
    return 0


@contextlib.contextmanager
def _demo(console: Console) -> Iterator[None]:
    """The demo organization as its last audit left it: on the second night."""
    require("demo")
    from demo.emulated_aws.server import EmulatedAws
    from demo.environment import enter_demo, ignored_in_demo
    from demo.organization import demo_world

    if ignored := ignored_in_demo(os.environ):
        console.print(ignored, style="yellow", markup=False)
    with EmulatedAws(demo_world(2)) as aws:
        enter_demo(aws.endpoint_url)
        yield


def _connect_hub() -> Any:
    """Connect as the DAGs do, but load Airflow, which takes seconds, only for a connection."""
    from ecr_audit.aws.session import connect_hub
    from ecr_audit.settings import load_settings

    if load_settings().aws_conn_id is None:
        return connect_hub()
    from ecr_audit_airflow import aws_connection

    # From here on it also applies to S3.
    return aws_connection.connect_hub()


def _postgres_uri() -> str | None:
    from ecr_audit_airflow.postgres_connection import postgres_uri

    return postgres_uri()


def _alert_channels() -> dict[str, str]:
    """Loads Airflow only when alert channels are set."""
    from ecr_audit.settings import load_settings

    settings = load_settings()
    if not (settings.alert_slack_conn_id or settings.alert_email_to or settings.alert_sns_topic_arn):
        return {}
    from ecr_audit_airflow import alerts

    return alerts.check_channels()


def _print(console: Console, result: Any) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=7)
    table.add_column(width=20)
    table.add_column(overflow="fold")
    table.add_row(Text(result.status, STYLES[result.status]), Text(result.title, "bold"), Text(result.found))
    for case in result.cases[:MOST_CASES]:
        table.add_row("", "", Text(f"- {case}"))
    if (more := len(result.cases) - MOST_CASES) > 0:
        table.add_row("", "", Text(f"… and {more} more"))
    if result.fix:
        table.add_row("", "", Text(f"-> {result.fix}", "bold"))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
