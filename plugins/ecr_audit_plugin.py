"""What Airflow loads as a plugin: the compliance pages, and the links of Airflow's own pages to them."""

from __future__ import annotations

from functools import cache

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends

from ecr_audit.publication import Published, newest
from ecr_audit.settings import Settings, load_settings
from ecr_audit.web.app import create_app
from ecr_audit.web.urls import PREFIX


@cache
def _settings() -> Settings:
    """Read at the first request and not when Airflow loads this: a wrong one is told on the page, and mended there."""
    return load_settings()


def _newest() -> Published:
    return newest(_settings())


class EcrAuditPlugin(AirflowPlugin):
    """The pages, below /ecr-audit, for users who may see plugins at all."""

    name = "ecr_audit"
    fastapi_apps = [
        {
            "name": "ECR audit",
            "url_prefix": PREFIX,
            "app": create_app(_newest, login=[Depends(requires_access_view(AccessView.PLUGINS))]),
        }
    ]
    external_views = [
        {
            "name": "ECR compliance",
            "href": f"{PREFIX}/",
            "url_route": "ecr-audit",
            "destination": "nav",
            "nav_top_level": True,
        },
        {
            "name": "Compliance pages",
            "href": f"{PREFIX}/",
            "url_route": "ecr-audit-dag",
            "destination": "dag",
        },
    ]
