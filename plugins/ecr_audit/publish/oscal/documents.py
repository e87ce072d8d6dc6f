"""The documents: one for each framework, of the whole organization or of one account."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from ecr_audit.catalog import load_catalog
from ecr_audit.publish.oscal import results
from ecr_audit.publish.oscal.results import Night, Row, reviewed_controls, timestamp
from ecr_audit.publish.oscal.values import PLACE, export_uid, filled, line, props, title
from ecr_audit.settings import SQL_ROOT
from ecr_audit.text import percent
from ecr_audit.warehouse.statements import read_statement

# The frameworks that have an OSCAL catalog, or a profile of one. In one document for all of them, a statement would
# have several findings.
FRAMEWORKS = (
    "/frameworks/nist-sp-800-53-r5",
    "/frameworks/fedramp-low",
    "/frameworks/fedramp-moderate",
    "/frameworks/fedramp-high",
)

_VERSION = "1.1.3"

# The tables that verdicts, coverage and waivers are counted from.
_EVIDENCE = ("policy_output", "repositories", "registries", "scan_targets", "coverage", "waivers", "section_compliance")

_PUBLICATION = """
SELECT
    p.*,
    (SELECT max(run_time) FROM policy_run WHERE snapshot_date = p.snapshot_date) AS run_time,
    (SELECT min(collected_at) FROM accounts) AS started
FROM publication AS p
"""


def file_name(framework_id: str) -> str:
    """oscal-nist-sp-800-53-r5.json."""
    return f"oscal-{framework_id.rpartition('/')[2]}.json"


def write_assessment_results(
    database: duckdb.DuckDBPyConnection,
    folder: Path,
    checksums: str,
    assessment_plan: str | None,
    account_id: str | None = None,
) -> list[Path]:
    """Write the documents into a folder, and return them.

    `checksums`: the lines of SHA256SUMS. `assessment_plan`: what the documents import. `account_id`: this account
    alone, with each of its repositories; None: all accounts, without repositories.
    """
    [publication] = _rows(database, _PUBLICATION)
    conditions = {policy.hash: policy.conditions for policy in load_catalog(SQL_ROOT).policies}
    written = []
    for framework_id in FRAMEWORKS:
        [framework] = _rows(database, "SELECT * FROM frameworks WHERE framework_id = $id", id=framework_id)
        document = _document(database, publication, framework, conditions, checksums, assessment_plan, account_id)
        path = folder / file_name(framework_id)
        text = json.dumps({"assessment-results": document}, ensure_ascii=False, separators=(",", ":"))
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _document(
    database: duckdb.DuckDBPyConnection,
    publication: Row,
    framework: Row,
    conditions: dict[str, Any],
    checksums: str,
    assessment_plan: str | None,
    account_id: str | None,
) -> dict[str, Any]:
    framework_id, commit = framework["framework_id"], publication["compliance_commit"]
    organization = publication["organization_id"] or "the organization"
    about = ("account", account_id) if account_id else ("organization",)
    given = {"framework_id": framework_id, "account_id": account_id}
    policies = {row["policy_id"]: row for row in _read(database, "oscal/policies", given)}
    accounts, waivers = _read(database, "oscal/accounts", given), _read(database, "oscal/waivers", given)
    held = {section_id for policy in policies.values() for section_id in policy["section_ids"]}
    sections = [row for row in _read(database, "controls", given) if row["section_id"] in held and row["reason"]]

    evidence = results.evidence(commit, checksums, [f"{table}.parquet" for table in _EVIDENCE])
    night = Night(commit, _started(publication), publication["run_time"])
    ids: defaultdict[str, list[str]] = defaultdict(list)
    items = []
    if account_id is None:
        verdicts = _read(database, "oscal/verdicts", given)
        observations = list(results.account_observations(night, policies, verdicts))
        keys = [row["policy_id"] for row in verdicts]
    else:
        objects = _read(database, "oscal/objects", given)
        observations = list(results.object_observations(night, policies, objects))
        keys = [row["policy_id"] for row in objects]
        items = list(results.inventory_items(objects, account_id))
    for policy_id, observation in zip(keys, observations, strict=True):
        ids[policy_id].append(observation["uuid"])

    party = export_uid("party", organization)
    plan = export_uid("assessment-plan")
    # Each document has to import a plan.
    stand_in = {
        "uuid": plan,
        "title": "Assessment plan",
        "description": "A stand-in: ECR_AUDIT_OSCAL_AP names no assessment plan.",
        "rlinks": [{"href": f"{PLACE}/assessment-plan"}],
    }
    head = publication["evidence_head"]
    log = [results.evidence_log(head)] if head else []
    resources = [*evidence, *log, *([] if assessment_plan else [stand_in])]
    name = f"{framework['name']}: {f'account {account_id}' if account_id else organization}"
    return {
        "uuid": export_uid("assessment-results", framework_id, *about, commit),
        "metadata": {
            "title": title(f"ECR audit, {name}"),
            "last-modified": timestamp(night.evaluated),
            "version": line(f"{publication['snapshot_date']} {commit}"),
            "oscal-version": _VERSION,
            "document-ids": [
                {
                    "scheme": f"{PLACE}/ns/series",
                    "identifier": export_uid("series", organization, framework_id, *about),
                }
            ],
            **props(
                inventory_commit=publication["inventory_commit"],
                compliance_commit=commit,
                hub_account_id=publication["hub_account_id"],
            ),
            "parties": [{"uuid": party, "type": "organization", "name": line(organization)}],
        },
        "import-ap": {"href": assessment_plan or f"#{plan}"},
        "local-definitions": {"activities": list(results.activities(policies.values(), conditions))},
        "results": [
            {
                "uuid": export_uid("result", framework_id, *about, commit),
                "title": title(name),
                "description": f"The night of {publication['snapshot_date']}:"
                " what was read of Amazon ECR, evaluated under each policy. Findings count the policies of a control"
                " and of its enhancements.",
                "start": timestamp(night.started),
                "end": timestamp(night.evaluated),
                **props(coverage=percent(publication["coverage_percent"])),
                # The first is the table of verdicts.
                **filled(links=results.evidence_links(evidence[:1])),
                "local-definitions": {
                    "components": list(results.components(accounts, publication["program_version"])),
                    **filled(inventory_items=items),
                },
                "reviewed-controls": reviewed_controls(sorted(held)),
                **filled(
                    observations=observations,
                    risks=list(results.risks(policies.values(), waivers, accounts)),
                    findings=list(results.findings(sections, policies, ids, waivers, accounts)),
                ),
            }
        ],
        **({"back-matter": {"resources": resources}} if resources else {}),
    }


def _started(publication: Row) -> datetime:
    started: datetime = publication["started"] or publication["run_time"]
    return started


def _read(database: duckdb.DuckDBPyConnection, name: str, given: dict[str, Any]) -> list[Row]:
    statement = read_statement(f"exports/{name}")
    return _rows(database, statement.text, **{key: given[key] for key in statement.parameters})


def _rows(database: duckdb.DuckDBPyConnection, sql: str, **parameters: Any) -> list[Row]:
    rows = database.execute(sql, parameters or None)
    names = [name for name, *_ in rows.description or ()]
    return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
