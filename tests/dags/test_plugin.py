"""The plugin as Airflow loads it: its pages are mounted behind Airflow's own login, its links are in the UI."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from ecr_audit.web.urls import PREFIX

# Airflow's own warnings are not this project's.
pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def api_server(airflow_database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Asks Airflow's web server, without a process of its own. Nothing has been published where it looks."""
    from airflow.api_fastapi.app import create_app, purge_cached_app

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ECR_AUDIT_DATA", str(tmp_path_factory.mktemp("data")))
        with TestClient(create_app("core"), raise_server_exceptions=False) as client:
            yield client
    purge_cached_app()


def token(role: str | None) -> dict[str, str]:
    """The header of a user who is logged in and has that role."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    user = SimpleAuthManagerUser(username="somebody", role=role)
    return {"Authorization": f"Bearer {get_auth_manager().generate_jwt(user)}"}


def addresses(api_server: TestClient) -> list[tuple[str, str]]:
    """Method and path of every route of the pages, taken from what Airflow has mounted."""
    app: Any = api_server.app
    [pages] = [route.app for route in app.routes if getattr(route, "path", None) == PREFIX]
    assert all(isinstance(route, APIRoute) for route in pages.routes)
    return [
        (method, PREFIX + re.sub(r"\{[^}]+\}", "x", route.path)) for route in pages.routes for method in route.methods
    ]


# Methods that no route of the pages has.
OTHER_METHODS = ("POST", "PUT", "PATCH", "DELETE")


def test_airflow_loads_the_plugin_and_no_module_of_the_library(airflow_database: None) -> None:
    from airflow import plugins_manager

    plugins_manager.ensure_plugins_loaded()
    assert plugins_manager.get_import_errors() == {}
    [info] = [each for each in plugins_manager.get_plugin_info() if each["name"] == "ecr_audit"]
    assert [(view["destination"], view["href"]) for view in info["external_views"]] == [
        ("nav", "ecr-audit/"),
        ("dag", "ecr-audit/"),
    ]


def test_without_a_login_every_route_is_refused(api_server: TestClient) -> None:
    asked = addresses(api_server)
    assert len(asked) > 5
    for method, path in asked:
        assert api_server.request(method, path).status_code == 401, f"{method} {path}"


def test_a_user_without_a_role_is_refused(api_server: TestClient) -> None:
    for method, path in addresses(api_server):
        assert api_server.request(method, path, headers=token(None)).status_code == 403, f"{method} {path}"


@pytest.mark.parametrize("role", [None, "viewer", "admin"])
def test_no_role_changes_anything(api_server: TestClient, role: str | None) -> None:
    headers = token(role) if role else {}
    for path in sorted({path for _, path in addresses(api_server)}):
        for method in OTHER_METHODS:
            assert api_server.request(method, path, headers=headers).status_code in (401, 405), f"{method} {path}"


@pytest.mark.parametrize("role", ["viewer", "user", "op", "admin"])
def test_every_role_gets_an_answer_from_every_route(api_server: TestClient, role: str) -> None:
    """Nothing has been published: pages give advice, and none breaks."""
    for method, path in addresses(api_server):
        assert api_server.request(method, path, headers=token(role)).status_code in (200, 404, 422, 503), (
            f"{method} {path}"
        )


def test_a_viewer_sees_the_pages(api_server: TestClient) -> None:
    assert api_server.get(f"{PREFIX}/static/pages.css", headers=token("viewer")).status_code == 200
    page = api_server.get(f"{PREFIX}/", headers=token("viewer"))
    assert page.status_code == 503
    assert "Nothing has been published yet" in page.text


@pytest.mark.parametrize(
    ("name", "accept"),
    [("findings.csv", "*/*"), ("findings.xlsx", "*/*"), ("api/v1/findings", "application/x-ndjson")],
)
def test_a_download_is_logged_with_who_asked(
    api_server: TestClient, name: str, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked = {"Accept": accept}
    with caplog.at_level("INFO", "ecr_audit_airflow.login"):
        api_server.get(f"{PREFIX}/{name}?owner=a%0Ab", headers=token("viewer") | asked)
        api_server.get(f"{PREFIX}/{name}", headers=token(None) | asked)
        api_server.get(f"{PREFIX}/", headers=token("viewer"))
    reported = [each.getMessage() for each in caplog.records if each.name == "ecr_audit_airflow.login"]
    assert reported == [f"Download by 'somebody': {PREFIX}/{name}?owner=a%0Ab"]


def test_a_reader_without_a_valid_token_is_asked_to_log_in(api_server: TestClient) -> None:
    """Airflow itself answers 403 to a token that it did not give, or that it took back."""
    from airflow.api_fastapi.app import get_auth_manager

    taken_back = token("viewer")
    get_auth_manager().revoke_token(taken_back["Authorization"].removeprefix("Bearer "))
    for headers in ({"Authorization": "Bearer x.y.z"}, {"Cookie": "_token=x.y.z"}, taken_back):
        page = api_server.get(f"{PREFIX}/", headers=headers)
        assert page.status_code == 401
        assert "Log in to Airflow" in page.text


@pytest.mark.parametrize("headers", [{}, {"Host": "evil.example"}])
def test_no_address_follows_the_host_header(api_server: TestClient, headers: dict[str, str]) -> None:
    """Neither with a slash too many nor with one too few. Behind a proxy with TLS it would be an address of http://."""
    answers = {
        path: api_server.get(path, headers=headers | token("viewer"), follow_redirects=False)
        for path in (PREFIX, f"{PREFIX}/findings/", f"{PREFIX}/api/v1/findings/")
    }
    assert [answer.status_code for answer in answers.values()] == [307, 404, 404]
    assert [answer.headers.get("location") for answer in answers.values()] == ["ecr-audit/", None, None]


@pytest.mark.slow
def test_processes_that_show_no_page_do_not_pay_for_it() -> None:
    """Each task of Airflow's loads the plugins, too."""
    program = (
        "import sys; from airflow import plugins_manager; plugins_manager.ensure_plugins_loaded();"
        "assert 'ecr_audit_plugin' in {plugin.__module__ for plugin in plugins_manager._get_plugins()[0]};"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not set(done.stdout.splitlines()[-1].split()) & {"duckdb", "pandas", "pyarrow"}
