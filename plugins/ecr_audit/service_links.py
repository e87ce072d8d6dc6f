"""Variables that Kubernetes, not a person, puts into a container's environment: a pod's service links.

For every Service of its namespace a pod gets seven kinds of variables, named after the Service. A Service called
ecr-audit-api-server, as Airflow's chart makes for a release called ecr-audit, so has variables that begin like settings
of the audit. `enableServiceLinks: false` in a pod's spec leaves them out.
Source: Kubernetes, "Service: Discovering services" (environment variables), in Docker's format of container links.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import ip_address


def _is_address(value: str) -> bool:
    with suppress(ValueError):
        return bool(ip_address(value))
    return False


def _is_port(value: str) -> bool:
    return re.fullmatch("[0-9]{1,5}", value) is not None


def _is_protocol(value: str) -> bool:
    return value in ("tcp", "udp", "sctp")


def _is_url(value: str) -> bool:
    """tcp://10.0.0.1:8080, or with an IPv6 address in brackets."""
    url = re.fullmatch(r"([a-z]+)://\[?([0-9a-f.:]+)\]?:([0-9]{1,5})", value)
    return url is not None and _is_protocol(url[1]) and _is_address(url[2])


# Suffixes of the variables after the Service's name, with the form of their values.
_FORMS: Mapping[re.Pattern[str], Callable[[str], bool]] = {
    re.compile(r".+_SERVICE_HOST"): _is_address,
    re.compile(r".+_SERVICE_PORT(_[A-Z0-9_]+)?"): _is_port,
    re.compile(r".+_PORT(_[0-9]+_(TCP|UDP|SCTP))?"): _is_url,
    re.compile(r".+_PORT_[0-9]+_(TCP|UDP|SCTP)_PROTO"): _is_protocol,
    re.compile(r".+_PORT_[0-9]+_(TCP|UDP|SCTP)_PORT"): _is_port,
    re.compile(r".+_PORT_[0-9]+_(TCP|UDP|SCTP)_ADDR"): _is_address,
}


def is_service_link(name: str, value: str) -> bool:
    """Whether a variable is a service link of Kubernetes, by the form of its name (in capitals) and its value."""
    return any(form.fullmatch(name) and fits(value) for form, fits in _FORMS.items())
