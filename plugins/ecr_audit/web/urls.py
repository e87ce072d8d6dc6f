"""Addresses. All links between pages, and to Airflow, are made here.

The application is mounted below some path, which a request knows: `/ecr-audit`, or `/airflow/ecr-audit` behind a proxy.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

# The path, within Airflow, that the application is mounted at.
PREFIX = "/ecr-audit"


class Urls:
    """Paths of the pages, as a browser has to ask for them. `root` is where the application is mounted."""

    def __init__(self, root: str, static_version: str) -> None:
        self.root = root.rstrip("/")
        self._static_version = static_version

    def overview(self, **query: Any) -> str:
        """The first page."""
        return self.to("/", query)

    def findings(self, **query: Any) -> str:
        """The findings, filtered by the query."""
        return self.to("/findings", query)

    def policies(self) -> str:
        """All policies."""
        return self.to("/policies")

    def policy(self, policy_id: str) -> str:
        """A policy's page. Its id begins with a slash: /ce/ca/…"""
        return self.to(f"/policies{policy_id}")

    def policy_file(self, policy_id: str, name: str) -> str:
        """A file of a policy, unchanged."""
        return self.to(f"/policies{policy_id}/files/{name}")

    def frameworks(self) -> str:
        """All frameworks."""
        return self.to("/frameworks")

    def framework(self, framework_id: str) -> str:
        """A framework's page; its id, /frameworks/…, is its path."""
        return self.to(framework_id)

    def section(self, section_id: str) -> str:
        """A section's page. /frameworks/nist-sp-800-53-r5/cm/2 is at /sections/nist-sp-800-53-r5/cm/2."""
        return self.to(f"/sections{section_id.removeprefix('/frameworks')}")

    def organization(self, **query: Any) -> str:
        """The tree of organizational units."""
        return self.to("/organization", query)

    def account(self, account_id: str, **query: Any) -> str:
        """An account's page."""
        return self.to(f"/accounts/{account_id}", query)

    def coverage(self, **query: Any) -> str:
        """The coverage page."""
        return self.to("/coverage", query)

    def evidence(self, **query: Any) -> str:
        """The page Evidence."""
        return self.to("/evidence", query)

    def exports(self) -> str:
        """The files of the publication."""
        return self.to("/exports")

    def export(self, name: str) -> str:
        """A file of the publication."""
        return self.to(f"/exports/{name}")

    def repository(self, repository_arn: str, tag: str | None = None) -> str:
        """A repository's page; with an image tag, the place on it with the tag's history."""
        return self.to(f"/repositories/{repository_arn}", {"tag": tag}) + ("#image-tags" if tag else "")

    def tag_moves(self, **query: Any) -> str:
        """The changes of image tags, filtered by the query."""
        return self.to("/tag-moves", query)

    def remediation(self, **query: Any) -> str:
        """The remediation plan, filtered by the query."""
        return self.to("/remediation", query)

    def remediation_runs(self, **query: Any) -> str:
        """The plans that people were asked to approve."""
        return self.to("/remediation/runs", query)

    def remediation_run(self, plan_id: str, **query: Any) -> str:
        """A plan that somebody was asked to approve, and how its changes ended."""
        return self.to(f"/remediation/runs/{plan_id}", query)

    def registry(self, account_id: str, region: str) -> str:
        """A registry's page."""
        return self.to(f"/registries/{account_id}/{region}")

    def object(self, object_id: str) -> str:
        """The page of what a policy evaluates: a repository or a registry, by its ARN."""
        arn = object_id.split(":", 5)
        return self.registry(arn[4], arn[3]) if arn[5:] == ["registry"] else self.repository(object_id)

    def strict(self, framework_id: str) -> str:
        """The page on what the strict reading would change in a framework."""
        return self.to(f"{framework_id}/strict")

    def api(self, path: str = "", **query: Any) -> str:
        """The JSON API; `path` begins with a slash."""
        return self.to(f"/api/v1{path}", query)

    def static(self, name: str) -> str:
        """A file of static/. Its address changes with its content, so that browsers may keep it."""
        return self.to(f"/static/{name}", {"v": self._static_version})

    def dag_run(self, dag_id: str, run_id: str) -> str:
        """The page of a run in Airflow's own UI."""
        return f"{self.root.removesuffix(PREFIX)}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"

    def dag(self, dag_id: str) -> str:
        """The page of a DAG in Airflow's own UI."""
        return f"{self.root.removesuffix(PREFIX)}/dags/{quote(dag_id, safe='')}"

    def login(self, back_to: str) -> str:
        """Airflow's login, of whatever auth manager, which then leads to the path `back_to`."""
        return f"{self.root.removesuffix(PREFIX)}/api/v2/auth/login?{urlencode({'next': back_to})}"

    def to(self, path: str, query: dict[str, Any] | None = None) -> str:
        """A path of this application, without query parameters that are None or empty."""
        given = {name: value for name, value in (query or {}).items() if value not in (None, "", [], ())}
        text = f"?{urlencode(given, doseq=True)}" if given else ""
        return f"{self.root}{quote(path, safe='/:')}{text}"
