"""What both DAGs share of Airflow: the asset between them, how their tasks behave, and the hub's Airflow connection.

Light to import: DAG files do so at every parse.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, ExceptionRetryPolicy, RetryAction, RetryRule

# Updated by every committed snapshot; its events carry the snapshot's date.
INVENTORY = Asset("ecr_inventory")

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "platform-security",
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "retry_policy": ExceptionRetryPolicy([RetryRule("ecr_audit.errors.FinalError", RetryAction.FAIL)]),
    # Longer than ECR_AUDIT_BATCH_SECONDS may be, so that a batch always gets to write what it has.
    "execution_timeout": timedelta(hours=1),
}


def connect_hub() -> Any:
    """The hub account, through the Airflow connection that the settings name, or else boto3's own chain.

    Raises AirflowNotFoundException for an unknown connection, and what `ecr_audit.aws.session.connect_hub` raises.
    """
    from airflow.sdk import BaseHook

    from ecr_audit.aws.session import connect_hub
    from ecr_audit.settings import load_settings

    conn_id = load_settings().aws_conn_id
    if conn_id is None:
        return connect_hub()
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

    # Asked for here, because the hook only warns of an unknown id and goes on with whatever credentials it finds.
    BaseHook.get_connection(conn_id)
    return connect_hub(AwsGenericHook(aws_conn_id=conn_id, client_type="sts").get_session())
