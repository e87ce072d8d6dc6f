"""The Airflow connection to AWS (`ECR_AUDIT_AWS_CONN_ID`), as the library's way to AWS.

The provider's own hook reads all of it. Extras that the hook would ignore, or the scan does not support, are an error
that names it. Light to import: DAG files and every process of Airflow do so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecr_audit.aws.access import AwsAccess
    from ecr_audit.aws.session import Hub

# The extras that the hook reads for a session (apache-airflow-providers-amazon, "Amazon Web Services Connection").
EXTRAS = (
    *("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "session_kwargs"),
    *("region_name", "profile_name", "verify", "endpoint_url", "config_kwargs", "service_config"),
    *("role_arn", "assume_role_method", "assume_role_kwargs", "assume_role_with_saml"),
    *("assume_role_with_web_identity_federation", "assume_role_with_web_identity_federation_audience"),
    "assume_role_with_web_identity_token_file",
)
# Those of them that are objects.
_OBJECTS = ("session_kwargs", "config_kwargs", "service_config", "assume_role_kwargs", "assume_role_with_saml")
_KEYS = ("aws_access_key_id", "aws_secret_access_key")
_SESSION_KWARGS = (*_KEYS, "aws_session_token")

# Common extras that the hook does not use, with their replacements.
_INSTEAD = {
    "host": 'the extra "endpoint_url"',
    "external_id": '"assume_role_kwargs": {"ExternalId": ...}',
    "profile": '"profile_name"',
    "aws_account_id": '"role_arn"',
    "aws_iam_role": '"role_arn"',
    "region": '"region_name"',
}


def use_connection() -> None:
    """Let the library reach AWS by the connection that the settings name, or else by boto3's own chain.

    Neither settings nor connection are read before AWS is called.
    """
    from ecr_audit.aws.access import use_access

    use_access(connection_access)


def connect_hub() -> Hub:
    """The hub account, on that way.

    Raises AirflowNotFoundException for an unknown connection, and what `connection_access` and
    `ecr_audit.aws.session.connect_hub` raise.
    """
    from ecr_audit.aws.session import connect_hub

    use_connection()
    return connect_hub()


def connection_access() -> AwsAccess | None:
    """The way to AWS of the connection that the settings name; None when they name none.

    Raises AirflowNotFoundException for an unknown connection, and SettingsError for one that cannot be taken whole.
    """
    from airflow.sdk import BaseHook

    from ecr_audit.aws.access import AwsAccess
    from ecr_audit.settings import SettingsError, load_settings

    conn_id = load_settings().aws_conn_id
    if conn_id is None:
        return None
    # Asked for here, because the hook only warns of an unknown id and goes on with whatever credentials it finds.
    connection = BaseHook.get_connection(conn_id)
    if faults := list(_faults(connection)):
        named = f"ECR_AUDIT_AWS_CONN_ID: connection '{conn_id}'"
        raise SettingsError("\n  ".join([f"{named} cannot be used:", *faults]))
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook, SessionFactory

    hook: AwsGenericHook[Any] = AwsGenericHook(aws_conn_id=conn_id, client_type="sts")
    known = hook.conn_config
    of_services = {name: its["endpoint_url"] for name, its in known.service_config.items() if its.get("endpoint_url")}
    # The hook asks STS for the connection's role by other means than its clients: at AWS's own endpoint unless that
    # service has one, and without `verify`.
    if known.endpoint_url and "sts" not in of_services:
        known.service_config = {**known.service_config, "sts": {"endpoint_url": known.endpoint_url}}
    factory = SessionFactory(conn=known, config=hook.config)
    if known.verify is not None:
        factory.basic_session._session.set_config_variable("ca_bundle", known.verify)
    endpoints = {**({"": known.endpoint_url} if known.endpoint_url else {}), **of_services}
    return AwsAccess(factory.create_session(), known.botocore_config, known.verify, endpoints)


def _faults(connection: Any) -> Iterator[str]:
    """Parts of a connection that would be ignored or are not supported; a line for each."""
    extras: Any = connection.extra_dejson
    if connection.conn_type != "aws":
        yield f"it is of type {connection.conn_type}, not aws"
        return
    # Airflow treats unreadable extras as none at all.
    if not isinstance(extras, Mapping) or (not extras and str(connection.extra or "{}").strip() != "{}"):
        yield "extra: is not a JSON object"
        return
    if wrong := [name for name in _OBJECTS if not isinstance(extras.get(name) or {}, Mapping)]:
        yield f"{', '.join(wrong)}: give JSON objects; in a connection's URI they go into __extra__"
        return
    given = [name for name in ("host", "port", "schema") if getattr(connection, name, None)]
    for name in (*given, *sorted(set(extras) - set(EXTRAS))):
        instead = f"; give {_INSTEAD[name]}" if name in _INSTEAD else ""
        yield f"{name}: not used by Airflow's hook for AWS{instead}"
    yield from _key_faults(connection, extras)
    if not extras.get("role_arn"):
        for name in sorted(each for each in extras if each.startswith("assume_role")):
            yield f"{name}: not used without role_arn"
    verify = extras.get("verify")
    if verify is not None and not isinstance(verify, bool) and not Path(str(verify)).is_file():
        yield f"verify: '{verify}' is not a file on this machine; give its path, or true or false without quotes"
    if not all(isinstance(each, Mapping) for each in (extras.get("service_config") or {}).values()):
        yield 'service_config: give an object for each service, such as {"s3": {"endpoint_url": "https://s3.example"}}'
    yield from _config_faults(extras.get("config_kwargs") or {})


def _key_faults(connection: Any, extras: Mapping[str, Any]) -> Iterator[str]:
    """Half a pair of keys counts as none, so that others would be taken."""
    if bool(connection.login) != bool(connection.password):
        yield "login and password: an access key and its secret key, give both or none"
    kwargs = extras.get("session_kwargs") or {}
    for name in sorted(set(kwargs) - set(_SESSION_KWARGS)):
        yield f"session_kwargs.{name}: not used by Airflow's hook for AWS; give it as an extra of its own"
    for where, values in (("", extras), ("session_kwargs.", kwargs)):
        lacking = [name for name in _KEYS if not values.get(name)]
        has_token = values.get("aws_session_token") and not connection.login
        if lacking and (has_token or len(lacking) < len(_KEYS)):
            yield f"{where}{lacking[0]}: missing, but there are others of {', '.join(_SESSION_KWARGS)}"


def _config_faults(config: Mapping[str, Any]) -> Iterator[str]:
    from botocore.config import Config

    try:
        Config(**config)
    except Exception as error:  # TypeError for an unknown option, BotoCoreError for a bad value
        yield f"config_kwargs: {error}"
    # The scan has its own signing and connections (ecr_audit/aws/connections.py).
    for name in ("signature_version", "proxies_config"):
        if name in config:
            yield f"config_kwargs.{name}: the scan cannot do this; leave it out"
    if not isinstance(config.get("client_cert") or "", str):
        yield "config_kwargs.client_cert: give the path of one PEM file with certificate and key"
