"""Who may see the pages: Airflow's own login, and the permission by which it shows links to plugins. Logs downloads.

Only the web server imports this, so Airflow does not load it as a plugin (.airflowignore).
"""

from __future__ import annotations

import logging
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user, requires_access_view
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials

from ecr_audit.web.api import ndjson

log = logging.getLogger(__name__)

# Downloads, which leave the reach of any login; so does a whole list as NDJSON.
DOWNLOADS = (".csv", ".xlsx")

_may_see_plugins = requires_access_view(AccessView.PLUGINS)


async def _user(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer_scheme)]
) -> BaseUser:
    """Who asks. HTTPException 401 also where Airflow answers 403: for a token that is invalid or was revoked."""
    try:
        return await get_user(request, None, bearer)
    except HTTPException as refusal:
        raise HTTPException(401) from refusal


def login(request: Request, user: Annotated[BaseUser, Depends(_user)]) -> None:
    """The dependency of every route of the pages. HTTPException 401 without a login, 403 without the permission."""
    _may_see_plugins(request, user)
    if request.url.path.endswith(DOWNLOADS) or ndjson.is_asked(request):
        # The query, which is still encoded, says of what: one line, whatever is in it.
        log.info("Download by %r: %s?%s", user.get_name(), request.url.path, request.url.query)
