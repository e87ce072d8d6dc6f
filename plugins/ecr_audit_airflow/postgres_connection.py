"""The Airflow connection to PostgreSQL: as a URI of libpq, and as the addresses of its tables for lineage.

Light to import: DAG files do so at every parse.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from airflow.sdk import Connection

_PORT = 5432


def postgres_uri() -> str | None:
    """The libpq URI of the PostgreSQL connection that the settings name; None when they name none.

    It means what the provider's hook connects with: every extra is a parameter of libpq, but for the hook's own, and an
    IAM token, of AWS or Azure, is the password. libpq itself refuses a parameter that it does not know, by name.
    Raises AirflowNotFoundException for an unknown connection, SettingsError for one that cannot be used.
    """
    from airflow.sdk import BaseHook

    connection = _connection()
    if connection is None:
        return None
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    extras, keywords = connection.extra_dejson, _keywords(connection)
    if _is_on(extras.get("iam")):
        if "aws_conn_id" in extras:
            # Asked for here, because the hook only warns of an unknown id, and takes what credentials it finds.
            BaseHook.get_connection(extras["aws_conn_id"])
        hook = PostgresHook(postgres_conn_id=connection.conn_id)
        keywords["user"], keywords["password"], keywords["port"] = hook.get_iam_token(connection)
    # A host may be an IPv6 address, a folder of sockets or a list, which the authority of a URI does not take.
    given = {name: _as_libpq_has_it(value) for name, value in keywords.items() if value not in (None, "")}
    return f"postgresql:///?{urlencode(given, quote_via=quote)}"


def table_addresses(schema: str, tables: Iterable[str]) -> list[str]:
    """Each table as Airflow and OpenLineage name it: postgres://host:port/database/schema/table, without a login.

    With several hosts the first names them; a server that is reached by a socket is on this machine. Empty without a
    connection; raises what `postgres_uri` does.
    """
    connection = _connection()
    if connection is None:
        return []
    keywords = _keywords(connection)
    host, port = (str(keywords.get(name) or "").split(",")[0] for name in ("host", "port"))
    host = "localhost" if not host or host.startswith(("/", "@")) else host
    authority = f"[{host}]" if ":" in host else host
    database = quote(str(keywords.get("dbname") or keywords.get("user") or "postgres"), safe="")
    return [f"postgres://{authority}:{port or _PORT}/{database}/{schema}/{table}" for table in tables]


def _connection() -> Connection | None:
    """The connection that the settings name; None when they name none. Raises AirflowNotFoundException."""
    from airflow.sdk import BaseHook

    from ecr_audit.settings import load_settings

    conn_id = load_settings().postgres_conn_id
    return None if conn_id is None else BaseHook.get_connection(conn_id)


def _keywords(connection: Connection) -> dict[str, Any]:
    """The parameters of libpq that a connection gives, as they are. Raises SettingsError."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    from ecr_audit.settings import SettingsError

    extras = connection.extra_dejson
    about = f"ECR_AUDIT_POSTGRES_CONN_ID: '{connection.conn_id}'"
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
        raise SettingsError(f"{about}: has the extra {nested[0]}, which is not text. Give a value that libpq accepts.")
    return keywords


def _is_on(extra: Any) -> bool:
    """Whether an extra is set. One that comes from a connection's URI is text: false, too."""
    return str(extra or "").lower() not in ("", "false", "no", "0", "{}")


def _as_libpq_has_it(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
