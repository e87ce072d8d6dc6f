"""Shared Airflow code of the DAGs: the asset between them, and the defaults of their tasks.

Light to import: DAG files do so at every parse.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, ExceptionRetryPolicy, RetryAction, RetryRule

from ecr_audit_airflow.aws_connection import use_connection
from ecr_audit_airflow.observability import name_the_run, report


def begin_task(context: Any) -> None:
    """The start of every task: the run in its log lines, and the connection to AWS."""
    name_the_run(context)
    use_connection()


def in_own_process(function: str, *arguments: Any) -> Any:
    """See `ecr_audit.own_process`, which only a task that runs imports."""
    from ecr_audit import own_process

    return own_process.in_own_process(function, *arguments)


# Updated by every committed snapshot; its events carry the snapshot's date. Airflow shows the extra on the asset's
# page, which, unlike a DAG's, has no place for a plugin's link.
INVENTORY = Asset("ecr_inventory", extra={"compliance pages": "/plugin/ecr-audit"})

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "platform-security",
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "retry_policy": ExceptionRetryPolicy([RetryRule("ecr_audit.errors.FinalError", RetryAction.FAIL)]),
    # Longer than the maximum of ECR_AUDIT_BATCH_SECONDS, so that a batch can always write its results.
    "execution_timeout": timedelta(hours=1),
    "pre_execute": begin_task,
    "post_execute": report,
}
