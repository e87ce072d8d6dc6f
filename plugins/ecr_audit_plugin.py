"""The Airflow plugin: the compliance pages, and the links of Airflow's own pages to them.

Every process of Airflow loads plugins, also one that runs a task and never shows a page. So the application is made
when the web server asks for it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

from ecr_audit.web.urls import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecr_audit.publish.publication import Published
    from ecr_audit.settings import Settings


@cache
def settings() -> Settings:
    """Read at the first request, so that the page reports an invalid setting, not the log of a plugin."""
    from ecr_audit.settings import load_settings

    return load_settings()


def newest_publication() -> Published:
    from airflow.sdk.exceptions import AirflowNotFoundException

    from ecr_audit.publish.publication import PublicationError
    from ecr_audit.publish.store import newest
    from ecr_audit_airflow.aws_connection import use_connection

    use_connection()
    try:
        return newest(settings())
    except AirflowNotFoundException as fault:  # the pages know the library's own
        raise PublicationError(f"ECR_AUDIT_AWS_CONN_ID: {fault}") from fault


@cache
def _fastapi_apps() -> list[dict[str, Any]]:
    from fastapi import Depends

    from ecr_audit.web.app import create_app
    from ecr_audit_airflow.login import login

    app = create_app(newest_publication, login=[Depends(login)])
    return [{"name": "ECR audit", "url_prefix": PREFIX, "app": app}]


@cache
def _root_middlewares() -> list[dict[str, Any]]:
    from airflow.configuration import conf

    from ecr_audit.web.front_door import FrontDoor, answered_hosts

    hosts = answered_hosts(conf.get("api", "host", fallback=""), conf.get("api", "base_url", fallback="") or "")
    return [{"name": "ECR audit", "middleware": FrontDoor, "kwargs": {"hosts": hosts}}]


class _WhenAsked:
    """A class attribute that is computed on first access."""

    def __init__(self, make: Callable[[], list[dict[str, Any]]]) -> None:
        self._make = make

    def __get__(self, instance: object, owner: type) -> list[dict[str, Any]]:
        return self._make()


# Without a slash before it, so that it is right below whatever path Airflow is served at.
_ADDRESS = f"{PREFIX.removeprefix('/')}/"


_ICONS = {"icon": f"{_ADDRESS}static/icon.svg", "icon_dark_mode": f"{_ADDRESS}static/icon-dark.svg"}


class EcrAuditPlugin(AirflowPlugin):
    """The pages below /ecr-audit; in the navigation bar, and on every DAG's page."""

    name = "ecr_audit"
    fastapi_apps = _WhenAsked(_fastapi_apps)
    fastapi_root_middlewares = _WhenAsked(_root_middlewares)
    external_views = [
        {
            "name": "ECR audit",
            "href": _ADDRESS,
            "url_route": "ecr-audit",
            "destination": "nav",
            "nav_top_level": True,
            **_ICONS,
        },
        {
            "name": "ECR audit",
            "href": _ADDRESS,
            "url_route": "ecr-audit-of-dag",
            "destination": "dag",
            **_ICONS,
        },
    ]
