"""What the DAGs share of Airflow: the asset between them, how their tasks behave, and the connections they may use.

Light to import: DAG files do so at every parse.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from airflow.sdk import Asset, ExceptionRetryPolicy, RetryAction, RetryRule

from ecr_audit_observability import name_the_run, report

# Updated by every committed snapshot; its events carry the snapshot's date. Airflow shows the extra on the asset's
# page, which, unlike a DAG's, has no place for a plugin's link.
INVENTORY = Asset("ecr_inventory", extra={"compliance pages": "/plugin/ecr-audit"})

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "platform-security",
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "retry_policy": ExceptionRetryPolicy([RetryRule("ecr_audit.errors.FinalError", RetryAction.FAIL)]),
    # Longer than ECR_AUDIT_BATCH_SECONDS may be, so that a batch always gets to write what it has.
    "execution_timeout": timedelta(hours=1),
    "pre_execute": name_the_run,
    "post_execute": report,
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


# Extras of a connection that are parameters of libpq; others are Airflow's own.
_LIBPQ = ("application_name", "connect_timeout", "options", "sslcert", "sslkey", "sslmode", "sslrootcert")


def postgres_uri() -> str | None:
    """The libpq URI of the PostgreSQL connection that the settings name; None when they name none.

    Raises AirflowNotFoundException for an unknown connection, and SettingsError for one of another type.
    """
    from airflow.sdk import BaseHook

    from ecr_audit.settings import SettingsError, load_settings

    conn_id = load_settings().postgres_conn_id
    if conn_id is None:
        return None
    connection = BaseHook.get_connection(conn_id)
    if connection.conn_type != "postgres":
        raise SettingsError(
            f"ECR_AUDIT_POSTGRES_CONN_ID: '{conn_id}': is a connection of type {connection.conn_type}."
            " Give one of type postgres."
        )
    login = quote(connection.login or "", safe="")
    password = f":{quote(connection.password, safe='')}" if connection.password else ""
    host = f"{connection.host or ''}:{connection.port or 5432}"
    extras = {name: value for name, value in connection.extra_dejson.items() if name in _LIBPQ}
    query = f"?{urlencode(extras, quote_via=quote)}" if extras else ""
    return f"postgresql://{login}{password}@{host}/{quote(connection.schema or '', safe='')}{query}"
