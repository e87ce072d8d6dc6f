"""What the DAGs share of Airflow: the asset between them, how their tasks behave, and the connection to PostgreSQL.

Light to import: DAG files do so at every parse.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from airflow.sdk import Asset, ExceptionRetryPolicy, RetryAction, RetryRule

from ecr_audit_airflow.aws_connection import use_connection
from ecr_audit_airflow.observability import name_the_run, report


def begin_task(context: Any) -> None:
    """What every task begins with: the run in its log lines, and the way to AWS."""
    name_the_run(context)
    use_connection()


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
    "pre_execute": begin_task,
    "post_execute": report,
}


def postgres_uri() -> str | None:
    """The libpq URI of the PostgreSQL connection that the settings name; None when they name none.

    It means what the provider's hook connects with: every extra is a parameter of libpq, but for the hook's own, and an
    IAM token, of AWS or Azure, is the password. libpq itself refuses a parameter that it does not know, by name.
    Raises AirflowNotFoundException for an unknown connection, SettingsError for one that cannot be used.
    """
    from airflow.sdk import BaseHook

    from ecr_audit.settings import SettingsError, load_settings

    conn_id = load_settings().postgres_conn_id
    if conn_id is None:
        return None
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    connection = BaseHook.get_connection(conn_id)
    extras = connection.extra_dejson
    about = f"ECR_AUDIT_POSTGRES_CONN_ID: '{conn_id}'"
    if connection.conn_type != "postgres":
        raise SettingsError(f"{about}: is a connection of type {connection.conn_type}. Give one of type postgres.")
    for name in ("redshift", "redshift-serverless", "sqlalchemy_query"):
        if _is_on(extras.get(name)):
            raise SettingsError(
                f"{about}: has the extra {name}, which publishing does not support. It needs PostgreSQL; parameters of"
                " libpq are extras of their own."
            )
    keywords = {
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
        "dbname": connection.schema,
    }
    keywords |= {name: value for name, value in extras.items() if name not in PostgresHook.ignored_extra_options}
    if nested := [name for name, value in keywords.items() if isinstance(value, dict | list)]:
        raise SettingsError(f"{about}: has the extra {nested[0]}, which is not text. Give what libpq takes.")
    if _is_on(extras.get("iam")):
        if "aws_conn_id" in extras:
            # Asked for here, because the hook only warns of an unknown id, and takes what credentials it finds.
            BaseHook.get_connection(extras["aws_conn_id"])
        hook = PostgresHook(postgres_conn_id=conn_id)
        keywords["user"], keywords["password"], keywords["port"] = hook.get_iam_token(connection)
    # A host may be an IPv6 address, a folder of sockets or a list, which the authority of a URI does not take.
    given = {name: _as_libpq_has_it(value) for name, value in keywords.items() if value not in (None, "")}
    return f"postgresql:///?{urlencode(given, quote_via=quote)}"


def _is_on(extra: Any) -> bool:
    """Whether an extra is set. One that comes from a connection's URI is text: false, too."""
    return str(extra or "").lower() not in ("", "false", "no", "0", "{}")


def _as_libpq_has_it(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
