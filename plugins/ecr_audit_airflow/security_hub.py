"""The task that imports findings into Security Hub. Light to import: DAG files do so at every parse."""

from __future__ import annotations


def import_into_security_hub() -> str:
    """Import changes and a thirtieth of the rest. Skipped without ECR_AUDIT_SECURITY_HUB_ROLE_NAME."""
    from airflow.sdk import get_current_context
    from airflow.sdk.exceptions import AirflowSkipException

    from ecr_audit.security_hub import steps
    from ecr_audit_airflow.aws_connection import connect_hub

    sentence = steps.import_findings(connect_hub, get_current_context()["run_id"])
    if sentence is None:
        raise AirflowSkipException("ECR_AUDIT_SECURITY_HUB_ROLE_NAME is not set")
    return sentence
