"""The remediation plan and its runs: their pages, downloads and the API."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any, get_args

import duckdb
import pytest
from fastapi.testclient import TestClient

from ecr_audit.publish.build import publish
from ecr_audit.remediation.outcomes import ActionOutcome
from ecr_audit.settings import SQL_ROOT, RemediationSettings
from ecr_audit.vocabulary import ACTION_OUTCOME_WORDS, PLAN_ACTION_WORDS, PLAN_RULE_REASONS, PlanAction, PlanRule
from ecr_audit.web.pages import remediation, remediation_runs
from ecr_audit.web.words import NONE
from support.pages import text_at, text_of
from support.policies import MUTABILITY, STRICT
from support.remediation import record_plan, record_rollback
from support.small_lake import SmallLake

SHOP, LAB = "1" * 12, "3" * 12
ACCOUNTS = [
    {"account_id": SHOP, "account_name": "Shop", "ou_path": "Root/Prod"},
    {"account_id": LAB, "account_name": "lab", "ou_path": "Root/Lab"},
]
NIGHTS = [date(2026, 11, number) for number in (1, 2, 3)]
PLANNED_AT = datetime(2026, 11, 3, 9, tzinfo=UTC)
ARN = f"arn:aws:ecr:eu-west-1:{SHOP}:repository/web/app"


def repositories(night: date) -> list[dict[str, Any]]:
    read = {"tags_read_at": datetime(night.year, night.month, night.day, 2, tzinfo=UTC)}
    rows: list[dict[str, Any]] = [
        {"account_id": SHOP, "repository_name": "web/app", "tags": [("owner", "web")]},
        {"account_id": SHOP, "repository_name": "quiet", "tags": []},
        {"account_id": SHOP, "repository_name": "in/code", "tags": [("ManagedBy", "terraform")]},
        {"account_id": LAB, "repository_name": "released", "tags": [], "region": "us-east-1"},
        {"account_id": LAB, "repository_name": "unread", "tags": []},
    ]
    return [row | read for row in rows]


def tags_of(number: int) -> dict[str, dict[str, str]]:
    moving, still = f"sha256:{number:064}", f"sha256:{9:064}"
    return {
        "web/app": {"latest": moving, "main": moving, "1.0.0": still},
        "quiet": {"1.0.0": still},
        "in/code": {"1.0.0": still},
        "released": {"1.0.0": moving},
    }


@pytest.fixture
def plan(once: Callable[..., None], small_lake: SmallLake, folder: Path) -> duckdb.DuckDBPyConnection:
    """Three nights with image tags are published, and two plans that people answered and one that nobody did."""

    def audit() -> None:
        for number, night in enumerate(NIGHTS):
            rows = repositories(night)
            registries = [
                {
                    "account_id": account,
                    "region": region,
                    "registries_read_at": rows[0]["tags_read_at"],
                    "pull_through_rules": [],
                }
                for account, region in ((SHOP, "eu-west-1"), (LAB, "us-east-1"), (LAB, "eu-west-1"))
            ]
            small_lake.scan(night, accounts=ACCOUNTS, repositories=rows, registries=registries)
            reads = [
                row | {"tags": tags_of(number)[name]} for row in rows if (name := row["repository_name"]) != "unread"
            ]
            small_lake.read_tags(night, reads)
            small_lake.evaluate(night)
        settings = RemediationSettings(remediation_nights=3)
        make = partial(
            publish,
            small_lake.lake,
            small_lake.catalog,
            folder,
            owner_tags=small_lake.owner_tags,
            plan_settings=settings,
        )
        make()
        with duckdb.connect(folder / "compliance.duckdb", read_only=True) as published:
            done = record_plan(small_lake.lake, published, PLANNED_AT, "ann", {"quiet": ActionOutcome.DENIED})
            record_plan(small_lake.lake, published, PLANNED_AT + timedelta(hours=1), None, {})
        record_rollback(small_lake.lake, done.plan_id, PLANNED_AT + timedelta(hours=2), "carol")
        make()

    once(audit)
    return duckdb.connect(folder / "compliance.duckdb", read_only=True)


# Each filter, and the truth of it.
FILTERS = {
    "policy": (STRICT, f"policy_id = '{STRICT}'"),
    "action": ("FIX_IN_CODE", "action = 'FIX_IN_CODE'"),
    "rule": ("release_moved", "rule = 'release_moved'"),
    "managed_by": ("terraform", "managed_by = 'terraform'"),
    "ou": ("Root/Prod", "ou_path = 'Root/Prod'"),
    "account": (LAB, f"account_id = '{LAB}'"),
    "region": ("us-east-1", "region = 'us-east-1'"),
    "owner": ("web", "owner = 'web'"),
    "repository": (ARN, f"repository_arn = '{ARN}'"),
    "search": ("SHOP quie", "account_name = 'Shop' AND repository_name = 'quiet'"),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_is_the_same_on_the_page_in_the_file_and_in_the_api(
    client: TestClient, plan: duckdb.DuckDBPyConnection, name: str
) -> None:
    value, condition = FILTERS[name]
    of_policy = "TRUE" if name == "policy" else f"policy_id = '{MUTABILITY}'"
    query = f"SELECT repository_name FROM remediation_plan WHERE {condition} AND {of_policy} ORDER BY ALL"
    expected = [row[0] for row in plan.execute(query).fetchall()]
    assert expected
    assert len(expected) < len(plan.execute("FROM remediation_plan").fetchall())
    items = client.get("/api/v1/remediation-plan", params={name: value}).json()["items"]
    assert sorted(each["repository_name"] for each in items) == expected
    whole = client.get("/api/v1/remediation-plan", params={name: value, "format": "ndjson"})
    assert len(whole.text.splitlines()) == len(expected)
    file = client.get("/remediation.csv", params={name: value})
    rows = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert sorted(row["repository_name"] for row in rows) == expected
    assert f"by-{name}-{len(expected)}.csv" in file.headers["content-disposition"]
    page = client.get("/remediation", params={name: value})
    assert page.text.count('<tr class="basis">') == len(expected)
    assert f"{name}: <b>" in page.text


def test_an_unknown_name_is_refused(client: TestClient, plan: duckdb.DuckDBPyConnection) -> None:
    for name, value in (("managed_by", "pulumi"), ("account", "9" * 12), ("rule", "x"), ("policy", "/ce/none")):
        answer = client.get("/remediation", params={name: value})
        assert answer.status_code == 422, name
        assert name in text_of(answer)


def test_the_page_shows_the_evidence_and_the_change_as_text(
    client: TestClient, plan: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = text_at(client, "/remediation").replace("/ ", "/")
    for shown in (
        "5 planned findings 2 to fix by the API, 1 in code, 2 held.",
        "hold 1 A release tag was overwritten: ask its owner why. 1 3",
        "web/app eu-west-1 Shop 111111111111 web MUTABLE",
        "fix by API IMMUTABLE_WITH_EXCLUSION latest main The tags that moved fit in filters",
        "Evidence all tags were read in 3 nights of the last 30; the last read found 3 tags Tags that moved latest",
        "Release tags 1 present or earlier, which no filter may match Overwritable after 2 tags of 3 Finding closes",
        "AWS CLI aws ecr put-image-tag-mutability --region eu-west-1 --registry-id 111111111111 --repository-name 'web",
        'Terraform image_tag_mutability = "IMMUTABLE" Copy CloudFormation ImageTagMutability: IMMUTABLE Copy CDK',
        "Code terraform owns the setting",
        "Tags that moved 1.0.0 release",
        "Tags that moved unknown",
    ):
        assert shown in text, shown
    held = text_at(client, "/remediation?action=HOLD")
    assert "the change as text" not in held
    assert "Terraform" not in held.split("planned findings")[1]
    strict = text_at(client, f"/remediation?policy={STRICT}")
    assert "1 would stay open" in strict
    assert "finding stays open" in strict
    monkeypatch.setattr(remediation, "MOVING_TAGS", 1)
    assert "and 1 more" in text_at(client, "/remediation?search=web")
    monkeypatch.setattr(remediation, "ROWS_A_PAGE", 2)
    assert "Page 3 of 3" in text_at(client, "/remediation?page=3")


def test_runs_show_the_answers_and_the_outcomes(
    client: TestClient, plan: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = plan.execute("SELECT plan_id FROM remediation_approvals ORDER BY planned_at").fetchall()
    (done,), (unanswered,), (rollback,) = ids
    text = text_at(client, "/remediation/runs")
    for shown in (
        "3 plans",
        f"{rollback[:12]} repository-image-tag-mutability rollback of {done[:12]} approved carol 2026-11-03 11:09",
        f"{unanswered[:12]} repository-image-tag-mutability no answer {NONE} 2 nothing was tried",
        f"{done[:12]} repository-image-tag-mutability taken back approved ann 2026-11-03 09:09 UTC 2 DENIED 1 DONE 1",
    ):
        assert shown in text, shown
    text = text_at(client, f"/remediation/runs/{done}").replace("/ ", "/")
    for shown in (
        "Answered by ann, 2026-11-03 09:09 UTC Triggered by bob Planned 2026-11-03 09:00 UTC, for 2 repositories",
        f'--conf \'{{"rollback_of": "{done}", "dry_run": false}}\'',
        f"Taken back by {rollback[:12]}",
        f"quiet eu-west-1 Shop 111111111111 DENIED 2026-11-03 10:00 UTC AccessDeniedException MUTABLE IMMUTABLE {NONE}",
        "web/app eu-west-1 Shop 111111111111 DONE 2026-11-03 10:00 UTC MUTABLE IMMUTABLE_WITH_EXCLUSION latest main"
        " IMMUTABLE_WITH_EXCLUSION latest main 2026-11-03 11:00 UTC",
        "DENIED The role is missing, or is not allowed the call.",
    ):
        assert shown in text, shown
    denied = text_at(client, f"/remediation/runs/{done}?outcome=DENIED")
    assert "1 repository" in denied
    assert "web/ app" not in denied
    refused = text_at(client, f"/remediation/runs/{unanswered}")
    assert "Nobody answered: the task of the approval has no answer" in refused
    assert "It changed nothing, so there is nothing to undo." in refused
    assert f"Takes back {done[:12]}" in text_at(client, f"/remediation/runs/{rollback}")
    file = client.get(f"/remediation/runs/{done}.csv", params={"outcome": "DONE"})
    assert f"remediation-{done[:12]}-DONE.csv" in file.headers["content-disposition"]
    [row] = csv.DictReader(io.StringIO(file.content.decode("utf-8-sig")))
    assert (row["repository_name"], row["approver"], row["before_setting"]) == ("web/app", "ann", "MUTABLE")
    assert client.get(f"/remediation/runs/{'0' * 64}").status_code == 404
    assert client.get(f"/remediation/runs/{'0' * 64}.csv").status_code == 404
    monkeypatch.setattr(remediation_runs, "RUNS_A_PAGE", 2)
    assert "Page 2 of 2" in text_at(client, "/remediation/runs?page=2")
    monkeypatch.setattr(remediation_runs, "ACTIONS_A_PAGE", 1)
    assert "Page 2 of 2" in text_at(client, f"/remediation/runs/{done}?page=2")


def test_the_api_has_the_answers_and_the_actions(client: TestClient, plan: duckdb.DuckDBPyConnection) -> None:
    approvals = client.get("/api/v1/remediation-approvals").json()["items"]
    assert [each["approver"] for each in approvals] == ["carol", None, "ann"]
    assert approvals[0]["answered_at"] == "2026-11-03T11:09:00Z"
    plan_id = approvals[2]["plan_id"]

    def outcomes(**given: str) -> list[str]:
        return [each["outcome"] for each in client.get("/api/v1/remediation-actions", params=given).json()["items"]]

    assert outcomes(plan_id=plan_id) == ["DENIED", "DONE"]
    assert outcomes(outcome="DENIED") == ["DENIED"]
    assert sorted(outcomes(repository=ARN)) == ["DONE", "DONE"]
    assert outcomes(account=LAB) == []


def test_a_repository_has_its_plan_and_its_changes(client: TestClient, plan: duckdb.DuckDBPyConnection) -> None:
    text = text_at(client, f"/repositories/{ARN}")
    for shown in (
        "Remediation fix by API IMMUTABLE_WITH_EXCLUSION latest main The tags that moved fit in filters, none of which",
        "The finding would stay open. Under repository-image-tag-immutability-strict.",
        "2026-11-03 DONE plan",
        "approved by carol, which takes back",
        "IMMUTABLE_WITH_EXCLUSION latest main → MUTABLE 2026-11-03 DONE plan",
    ):
        assert shown in text, shown
    details = client.get(f"/api/v1/repositories/{ARN}").json()
    assert [each["action"] for each in details["remediation_plan"]] == ["FIX_BY_API"] * 2
    assert [each["approver"] for each in details["remediation_actions"]] == ["carol", "ann"]


def test_findings_show_the_plan_and_the_last_change(client: TestClient, plan: duckdb.DuckDBPyConnection) -> None:
    """The change to web/app was taken back, so it is planned again."""
    text = text_at(client, "/findings").replace("/ ", "/")
    quiet = text.split("quiet ")[1]
    assert re.search(r"^eu-west-1 Shop .{1,350}? DENIED by ann on 2026-11-03, plan [0-9a-f]{12}", quiet)
    assert re.search(r"web/app .{1,350}? planned: IMMUTABLE_WITH_EXCLUSION", text)
    assert re.search(r"released .{1,350}? plan: hold", text)
    assert "DONE by" not in text


def test_no_command_is_offered_against_the_plan(client: TestClient, plan: duckdb.DuckDBPyConnection) -> None:
    """The policy's own command would stop pushes of latest, be undone by code, or end what a person has to see.

    It stays where nothing speaks against it: in a repository of which no tag is known to have moved.
    """
    rows = plan.execute(
        f"SELECT repository_name, repository_arn, fix_command FROM findings WHERE policy_id = '{MUTABILITY}'"
    ).fetchall()
    offered = {name: command for name, _, command in rows}
    commands = sorted(filter(None, offered.values()))
    assert offered["web/app"].endswith("'filterType=WILDCARD,filter=latest' 'filterType=WILDCARD,filter=main'")
    assert {name for name, command in offered.items() if command is None} == {"in/code", "released"}
    page = client.get("/findings")
    assert sorted(re.findall(r'<code hidden id="command-[0-9]+">(.*?)</code>', unescape(page.text))) == commands
    text = text_of(page).replace("/ ", "/")
    assert "Copy 3 commands of this page" in text
    assert "plan: hold . A release tag was overwritten: ask its owner why." in text
    assert re.search(r"in/code .{1,350}? plan: fix in code IMMUTABLE", text)
    file = client.get("/findings.csv").content.decode("utf-8-sig")
    by_name = {row["repository_name"]: row for row in csv.DictReader(io.StringIO(file))}
    assert {name: row["fix_command"] or None for name, row in by_name.items()} == offered
    assert by_name["released"]["plan_rule"] == "release_moved"
    assert "remediation_command" not in by_name["released"]
    for name, arn, command in rows:
        page_of_it = unescape(client.get(f"/repositories/{arn}").text)
        # One under each of the two policies.
        found = re.findall(r'<pre id="command-[0-9]+">(.*?)</pre>', page_of_it)
        assert found == [command] * (2 if command else 0), name
        assert ("No command is to be run." in page_of_it) == (command is None), name
    question = (SQL_ROOT / "analyses/commands_to_fix.sql").read_text(encoding="utf-8")
    assert sorted(row[0] for row in plan.execute(question, {"policy_id": MUTABILITY}).fetchall()) == commands


def test_without_image_tags_the_page_reports_that_nothing_can_be_planned(
    client: TestClient, published: Callable[..., None]
) -> None:
    published(repositories=[{"repository_name": "app"}])
    text = text_at(client, "/remediation")
    assert "Image tags are not read (ECR_AUDIT_IMAGE_TAGS is off)" in text
    assert "0 to fix by the API, 0 in code, 1 held." in text
    assert "No plan has been put to a person yet." in text_at(client, "/remediation/runs")
    published(date(2026, 11, 3), repositories=[{"repository_name": "app", "image_tag_mutability": "IMMUTABLE"}])
    assert "Nothing to plan: there is no open, unwaived finding" in text_at(client, "/remediation")
    assert "No row of the plan matches" in text_at(client, "/remediation?action=HOLD")


def test_words_are_there_for_each_rule_and_outcome() -> None:
    header = (SQL_ROOT / "marts/remediation_plan.sql").read_text(encoding="utf-8").split("WITH")[0]
    rules = re.findall(r"^--   ([a-z_]+)  ", header, re.MULTILINE)
    assert set(rules) == set(get_args(PlanRule)) == PLAN_RULE_REASONS.keys()
    assert PLAN_ACTION_WORDS.keys() == set(get_args(PlanAction))
    assert ACTION_OUTCOME_WORDS.keys() == set(ActionOutcome)
