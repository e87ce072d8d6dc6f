"""Checks of encryption: AWS by http:// or with unverified certificates, PostgreSQL without mandatory TLS."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from urllib.parse import urlsplit

from ecr_audit.aws.permissions import Option, Role
from ecr_audit.aws.session import Hub
from ecr_audit.doctor.permissions import permissions_of
from ecr_audit.doctor.results import Result, Status
from ecr_audit.lake.s3 import S3, open_place
from ecr_audit.settings import Settings

ENDPOINTS = "Endpoints"
ENCRYPTION = "PostgreSQL by TLS"

# By these libpq goes on without TLS when the server offers none (PostgreSQL documentation, "SSL Mode Descriptions").
_WITHOUT_TLS = {"disable", "allow", "prefer"}


def check_endpoints(hub: Hub, settings: Settings) -> Iterator[Result]:
    """Warnings when AWS's certificates are not checked, or a service is reached by http:// on another machine."""
    if hub.access.verify is False:
        found = "AWS's certificates are not verified: anybody on the network can impersonate AWS"
        fix = 'Remove "verify": false from the Airflow connection; a path there names the certificates to trust.'
        yield Result(Status.WARN, ENDPOINTS, found, fix)
    options = {Option.TOPIC} if settings.alert_sns_topic_arn else set()
    places = (settings.lake_root, settings.publish_root, settings.waivers)
    if any(isinstance(open_place(place), S3) for place in places if place):
        options.add(Option.BUCKET)
    wanted = (None, *settings.collect)
    services = dict.fromkeys(each.service for each in permissions_of(Role.HUB, options) if each.facet in wanted)
    addresses = {service: str(hub.client(service).meta.endpoint_url) for service in services}
    plain = [
        f"{service}: {address}"
        for service, address in addresses.items()
        if urlsplit(address).scheme == "http" and not _is_here(urlsplit(address).hostname or "")
    ]
    if plain:
        found = "not encrypted: anybody on the network can read the responses, including AssumeRole's credentials"
        fix = "Use https:// endpoints in AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_<SERVICE> or AWS's configuration file."
        yield Result(Status.WARN, ENDPOINTS, found, fix, plain)


def check_postgres_encryption(uri: str, conn_id: str) -> Iterator[Result]:
    """A warning when a libpq URI leads to another machine, and its sslmode does not ask for TLS; else nothing."""
    from psycopg.conninfo import conninfo_to_dict  # heavy, and few need it

    given = conninfo_to_dict(uri)
    hosts = str(given.get("host") or os.environ.get("PGHOST") or "").split(",")
    mode = given.get("sslmode") or os.environ.get("PGSSLMODE")
    if (mode or "prefer") not in _WITHOUT_TLS or all(_is_here(host) for host in hosts):
        return
    found = f"sslmode is {mode or 'unset'}: if the server has no TLS, password and findings are sent unencrypted"
    fix = f'Give the extra {{"sslmode": "verify-full"}} to the Airflow connection \'{conn_id}\', or require at least.'
    yield Result(Status.WARN, ENCRYPTION, found, fix)


def _is_here(host: str) -> bool:
    """Whether a host is this machine: no name, a folder of sockets, localhost, a loopback address."""
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
