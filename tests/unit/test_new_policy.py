"""A policy is a folder: what stands in sql/policies is evaluated, published, shown and reported; no other place names
it.

The folders of tests/fixtures/policies are put beside the audit's policies on tag mutability, or in place of all its
policies. In place of them, whatever still spoke of the audit's own policies would speak of something that is not there.
"""

from __future__ import annotations

import io
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import duckdb
import openpyxl
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from rich.console import Console

from ecr_audit.alerts.night import night_messages
from ecr_audit.catalog import CatalogError, load_catalog
from ecr_audit.compliance import PolicyError, evaluate
from ecr_audit.publish.build import publish
from ecr_audit.publish.changes import describe_changes
from ecr_audit.publish.completion import complete
from ecr_audit.publish.folder_store import PublicationStore
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.summary import print_summary
from ecr_audit.publish.tables import TABLES, VIEWS, WITHOUT_CSV
from ecr_audit.settings import SQL_ROOT, Settings
from ecr_audit.web import policy_texts
from ecr_audit.web.app import create_app
from ecr_audit.web.urls import PREFIX
from support.policies import MUTABILITY, STRICT
from support.small_lake import SmallLake

pytestmark = pytest.mark.slow

FIXTURES = Path(__file__).parents[1] / "fixtures" / "policies"
DAY_1, DAY_2 = date(2026, 11, 1), date(2026, 11, 2)

SCAN = "/ce/test/scan-on-push"
SCAN_NAME = "Repository does not Scan Images on Push"
ENCRYPTION = "/ce/test/encryption-key"
ENCRYPTION_NAME = "Repository is not Encrypted by a Key of AWS KMS"
ENCRYPTION_FIX = "Create another repository with a key of AWS KMS"

MUTABILITY_NAME = "Repository Image Tag Mutability is set to Mutable"

# This number of each page is opened: there are a thousand sections.
PAGES_A_ROUTE = 3


class Night(NamedTuple):
    """A published night: its database, and the sql/ folder whose policies it was evaluated by."""

    database: Path
    sql: Path

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with open_published(self.database) as published:
            return published.execute(query).fetchall()


def sql_with(folder: Path, *, alone: bool) -> Path:
    """A copy of sql/ with the policies of FIXTURES: beside those on tag mutability, or alone."""
    sql = folder / "sql"
    shutil.copytree(SQL_ROOT, sql)
    for policy in load_catalog(sql).policies:
        if alone or policy.id not in (MUTABILITY, STRICT):
            shutil.rmtree(sql / policy.folder)
    shutil.copytree(FIXTURES, sql / "policies", dirs_exist_ok=True)
    return sql


@pytest.fixture(scope="module", params=["alone", "beside"])
def night(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, lake_of: type[SmallLake]) -> Night:
    """Two nights: in the second, `later` fails that passed before, and ECR no longer returns `unknown`."""
    folder = tmp_path_factory.mktemp(request.param)
    sql = sql_with(folder, alone=request.param == "alone")
    lake = lake_of(folder / "lake", load_catalog(sql))
    for day, later, unknown in ((DAY_1, True, True), (DAY_2, False, None)):
        tags = {"image_tag_mutability": "IMMUTABLE" if later else "MUTABLE", "tags": {"owner": "web"}}
        lake.scan(
            day,
            repositories=[
                {"repository_name": "off", "scan_on_push": False, "encryption_type": "AES256"},
                {"repository_name": "later", "scan_on_push": later, "encryption_type": "KMS"} | tags,
                {"repository_name": "unknown", "scan_on_push": unknown, "encryption_type": None},
            ],
            registries=[{}],
        )
        assert lake.evaluate(day)[1] == []
    published = publish(lake.lake, lake.catalog, folder / "publish", owner_tags=lake.owner_tags)
    complete(lake.lake, folder / "publish")
    return Night(published.database, sql)


@pytest.fixture
def client(night: Night, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Asks the pages; `client.app` is the application that they are mounted in."""
    monkeypatch.setattr(policy_texts, "SQL_ROOT", night.sql)
    policy_texts.open_catalog.cache_clear()
    pages = create_app(PublicationStore(night.database.parents[2]).newest, login=[])
    outer = FastAPI()
    outer.mount(PREFIX, pages)
    yield TestClient(outer, base_url=f"http://testserver{PREFIX}")
    pages.state.published.close()
    policy_texts.open_catalog.cache_clear()


def is_alone(night: Night) -> bool:
    return len(list(night.sql.glob("policies/*/*"))) == 2


def test_it_evaluates_and_rolls_up(night: Night) -> None:
    query = """
        SELECT split_part(object_id, '/', 2), status, condition_index, owner, owner_source
        FROM policy_output
        WHERE policy_id = '{}'
        ORDER BY ALL
    """
    assert night.rows(query.format(SCAN)) == [
        ("later", "INCOMPLIANT", 199, "web", "tag"),
        ("off", "INCOMPLIANT", 199, "shop", "account"),
        ("unknown", "UNDETERMINED", 499, "shop", "account"),
    ]
    # Its logic returns no owner: the engine looks them up.
    assert night.rows(query.format(ENCRYPTION)) == [
        ("later", "COMPLIANT", 299, "web", "tag"),
        ("off", "INCOMPLIANT", 199, "shop", "account"),
        ("unknown", "UNDETERMINED", 499, "shop", "account"),
    ]
    [section] = night.rows(
        """
        SELECT policies, compliant, incompliant, undetermined
        FROM section_compliance
        WHERE section_id = '/frameworks/aws-fsbp-v1.0.0/ecr/01'
            AND scope_type = 'organization'
            AND snapshot_date = DATE '2026-11-02'
        """
    )
    assert section == (1, 0, 2, 1)


def test_its_findings_have_null_in_columns_of_other_policies(night: Night) -> None:
    """Which tags can be overwritten is not said where images are not scanned; there is no command for a key."""
    findings = night.rows(
        f"""
        SELECT
            policy_id, repository_name, overwritable_tags, exclusion_filters, remediation_command IS NOT NULL,
            remediation_message IS NOT NULL
        FROM findings
        WHERE policy_id IN ('{SCAN}', '{ENCRYPTION}')
        ORDER BY ALL
        """
    )
    assert findings == [
        (ENCRYPTION, "off", None, None, False, True),
        (SCAN, "later", None, None, True, True),
        (SCAN, "off", None, None, True, True),
    ]
    others = f"FROM findings WHERE policy_id NOT IN ('{SCAN}', '{ENCRYPTION}')"
    assert night.rows(f"SELECT count(*) {others} AND overwritable_tags IS NULL") == [(0,)]
    assert (night.rows(f"SELECT count(*) {others}") == [(0,)]) == is_alone(night)


def test_the_first_policy_is_the_one_of_the_view_and_of_the_pages(night: Night, client: TestClient) -> None:
    """It decides most framework sections."""
    open_findings = {policy_id for (policy_id,) in night.rows("SELECT DISTINCT policy_id FROM open_findings")}
    first = SCAN if is_alone(night) else MUTABILITY
    assert open_findings == {first}
    [(name,)] = night.rows(f"SELECT contextual_name FROM policies WHERE policy_id = '{first}'")
    overview = client.get("/").text
    assert f'<option value="{first}" selected>{name}</option>' in overview
    assert f"<h1>{name}</h1>" in overview


def test_it_is_in_every_file_that_is_published(night: Night) -> None:
    folder = night.database.parent
    for table in TABLES:
        assert duckdb.read_parquet(str(folder / f"{table}.parquet")).shape[0] == night.rows(f"FROM {table}").__len__()
        assert (folder / f"{table}.csv").exists() == (table not in WITHOUT_CSV)
    assert night.rows("FROM open_findings") and VIEWS.keys() == {"open_findings"}
    book = openpyxl.load_workbook(folder / "compliance.xlsx")
    cells = {sheet.title: [str(cell.value) for row in sheet for cell in row] for sheet in book}
    assert {SCAN_NAME, ENCRYPTION_NAME, SCAN, ENCRYPTION} <= set(cells["Cover"])
    assert {"scan-on-push", "encryption-key"} <= set(cells["Findings"])
    assert any(each.startswith("[ECR.1]") for each in cells["Linked sections"])
    if is_alone(night):
        assert_says_nothing_of_tags("\n".join(cells["Cover"] + [each.oddHeader.left.text for each in book]))


def assert_says_nothing_of_tags(text: str) -> None:
    """No word of the audit's own policies, but in names of columns, in AWS's name of a setting, and on image tags."""
    others = (
        r"image_tag_mutability\w*|overwritable_tags|\w*moved_\w+|The tag was overwritten.*|Image tags are not read:.*"
    )
    said = re.sub(rf"\b(?:{others})", "", text)
    assert re.findall(r"(?i).{0,60}(?:mutab|overwrit).{0,60}", said) == []


def links(page: str) -> list[str]:
    return [unescape(each) for each in re.findall(rf'(?:href|src)="{PREFIX}([^"#]*)', page)]


# Pages of one repository or registry show all its settings, the API all columns; frameworks have titles of AWS; and
# some pages are about tags.
WHATEVER_THE_POLICY = (
    *("/repositories", "/registries", "/api", "/frameworks", "/sections"),
    *("/tag-moves", "/remediation", "/exports"),
)


def test_every_page_and_download_shows_it(night: Night, client: TestClient) -> None:
    """Followed from link to link, from the overview under each policy."""
    routes = [route for route in client.app.routes[-1].app.routes if isinstance(route, APIRoute)]  # type: ignore[attr-defined]  # a mounted application's
    seen: Counter[str] = Counter()
    queue = [f"/?policy={SCAN}", f"/findings?policy={SCAN}", f"/findings?policy={ENCRYPTION}", f"/policies{SCAN}"]
    queue += [f"/policies{ENCRYPTION}", f"/organization?policy={SCAN}", "/api/v1/openapi.json"]
    # Linked only where the strict reading changes something.
    queue += ["/frameworks/aws-fsbp-v1.0.0/strict"]
    # Linked only where image tags are read.
    queue += ["/tag-moves", "/tag-moves.csv"]
    # Linked only where the plan has rows.
    queue += ["/remediation.csv"]
    # Linked only where nights are sealed.
    queue += ["/evidence"]
    known, texts = set(queue), dict[str, str]()
    while queue:
        address = queue.pop(0)
        route = next(route.path for route in routes if route.path_regex.match(address.partition("?")[0]))
        seen[route] += 1
        if seen[route] > PAGES_A_ROUTE and SCAN not in address:
            continue
        answer = client.get(address)
        assert answer.status_code == 200, (address, answer.text)
        if "html" not in answer.headers["content-type"]:
            continue
        texts[address] = unescape(re.sub(r"<[^>]+>", " ", answer.text))
        new = [each or "/" for each in links(answer.text) if (each or "/") not in known]
        known.update(new)
        queue += dict.fromkeys(new)
    # No plan was put to a person here.
    elsewhere = ("/api/", "/remediation/runs/{plan_id}")
    for route in (route.path for route in routes if "GET" in route.methods and not route.path.startswith(elsewhere)):
        assert seen[route], route
    assert SCAN_NAME in texts[f"/?policy={SCAN}"]
    assert f"{SCAN_NAME}" in texts["/policies"]
    for address in (f"/findings?policy={SCAN}", f"/findings?policy={ENCRYPTION}"):
        assert "overwritten" not in texts[address]
    assert "copy the images" in texts[f"/policies{ENCRYPTION}"], "remediation.md"
    assert ENCRYPTION_FIX in texts[f"/findings?policy={ENCRYPTION}"], "where no command fixes it"
    assert ENCRYPTION_FIX in client.get(f"/findings.csv?policy={ENCRYPTION}").text
    assert "ECR returned no value." in texts[f"/policies{SCAN}"], "a condition in words"
    if is_alone(night):
        for address, text in texts.items():
            if not address.startswith(WHATEVER_THE_POLICY):
                assert_says_nothing_of_tags(text)


def test_every_list_of_the_api_has_it(client: TestClient) -> None:
    document = client.get("/api/v1/openapi.json").json()
    for path, described in document["paths"].items():
        parameters = {each["name"] for each in described["get"].get("parameters", [])}
        if "{" in path:
            continue
        query = {"policy": SCAN} if "policy" in parameters else {}
        answer = client.get(path.removeprefix(PREFIX), params=query)
        assert answer.status_code == 200, (path, answer.text)
    findings = client.get("/api/v1/findings", params={"policy": SCAN}).json()["items"]
    assert [each["overwritable_tags"] for each in findings] == [None, None]
    [finding] = client.get("/api/v1/findings", params={"policy": ENCRYPTION}).json()["items"]
    assert finding["remediation_command"] is None
    assert finding["remediation_message"].startswith(ENCRYPTION_FIX)


def test_an_alert_and_the_summary_name_it(night: Night, tmp_path: Path) -> None:
    """Alerts are of policies that count in a framework: not of the one that is mapped to no section."""
    [message] = night_messages(night.database, 0.95, "https://pages.test")
    assert message.subject.endswith(": 1 new finding" if is_alone(night) else ": 2 new findings under 2 policies")
    parts = [line.partition(" (")[0] for line in message.lines if "New or reopened" in line]
    assert parts == ([SCAN_NAME] if is_alone(night) else [SCAN_NAME, MUTABILITY_NAME]), "the most severe first"
    assert f"https://pages.test/findings?policy={quote(SCAN, safe='')}" in message.lines
    assert "later" in message.body
    assert ENCRYPTION_NAME not in message.body

    reported = io.StringIO()
    print_summary(Settings(data=tmp_path, publish=str(night.database.parents[2])), Console(file=reported, width=200))
    assert re.search(rf"{SCAN_NAME} +2 +0 +1 +0 +0", reported.getvalue())
    assert re.search(rf"{ENCRYPTION_NAME} +1 +1 +1 +0 +0", reported.getvalue())
    if is_alone(night):
        assert "ECR.1" in reported.getvalue(), "the sections of the first policy"
        with open_published(night.database) as published:
            assert describe_changes(published) == "1 newly incompliant, 1 no longer evaluated"
        assert_says_nothing_of_tags("\n".join([message.body, reported.getvalue()]))


def test_every_question_that_names_a_policy_can_be_asked_of_it(night: Night) -> None:
    with open_published(night.database) as published:
        for path in sorted((SQL_ROOT / "analyses").glob("*.sql")):
            text = path.read_text(encoding="utf-8")
            published.execute(text, {"policy_id": SCAN} if "$policy_id" in text else None).fetchall()


@pytest.mark.parametrize(
    ("misspelt", "fault"),
    [
        ("input: repositorys", "Unknown input 'repositorys'. Valid: registries, repositories"),
        ("input: registry", "Unknown input 'registry'. Valid: registries, repositories"),
        ("finding_columns: [overwritable_tag]", "Valid: overwritable_tags, exclusion_filters"),
    ],
)
def test_its_misspellings_are_reported_with_the_valid_values(tmp_path: Path, misspelt: str, fault: str) -> None:
    sql = sql_with(tmp_path, alone=True)
    path = sql / "policies/test/scan-on-push/policy.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("input: repositories", misspelt), encoding="utf-8")
    with pytest.raises(CatalogError) as caught:
        load_catalog(sql)
    line = text.splitlines().index("input: repositories") + 1
    assert f"sql/policies/test/scan-on-push/policy.yaml:{line}: " in str(caught.value)
    assert fault in str(caught.value)


def test_a_policy_that_names_no_input_evaluates_repositories(tmp_path: Path) -> None:
    sql = sql_with(tmp_path, alone=True)
    path = sql / "policies/test/scan-on-push/policy.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("input: repositories", ""), encoding="utf-8")
    assert {policy.input for policy in load_catalog(sql).policies} == {"repositories"}


# A place is there wherever its account and region were read.
PLACES = """
SELECT account_id, region, outcome, concat('arn:aws:ecr:', region, ':', account_id, ':place') AS arn
FROM lake.scan_targets
WHERE outcome = 'COLLECTED'
"""
PLACE_OBJECTS = """
SELECT
    arn AS object_id, account_id, region, NULL::VARCHAR AS owner, NULL::TIMESTAMPTZ AS created_at,
    NULL::TIMESTAMPTZ AS collected_at, TRUE AS observed
FROM staging.places
"""
PLACE_LOGIC = """
SELECT
    arn AS object_id, 199 AS condition_index, 'INCOMPLIANT' AS status, 'It is a place.' AS current_state_message,
    NULL::VARCHAR AS remediation_message, NULL::VARCHAR AS remediation_command
FROM staging.places
"""


def test_another_input_is_two_files(lake_of: type[SmallLake], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its objects are evaluated by the policies of that input, and by no other; the checks count each for itself."""
    sql = sql_with(tmp_path, alone=True)
    (sql / "staging/places.sql").write_text(PLACES, encoding="utf-8")
    (sql / "staging/objects/places.sql").write_text(PLACE_OBJECTS, encoding="utf-8")
    folder = sql / "policies/test/place"
    shutil.copytree(sql / "policies/test/scan-on-push", folder)
    (folder / "logic.sql").write_text(PLACE_LOGIC, encoding="utf-8")
    text = (folder / "policy.yaml").read_text(encoding="utf-8")
    for old, new in ((SCAN, "/ce/test/place"), ("repositories", "places"), (SCAN_NAME, "Place exists")):
        text = text.replace(old, new)
    (folder / "policy.yaml").write_text(text, encoding="utf-8")

    lake = lake_of(tmp_path / "lake", load_catalog(sql))
    for day, outcome in ((DAY_1, "COLLECTED"), (DAY_2, "FAILED")):
        dark = {"account_id": "111111111111", "region": "us-east-1", "outcome": outcome}
        lake.scan(day, repositories=[{"scan_on_push": True}], scan_targets=[dark])
        lake.evaluate(day)
    verdicts = {(row["policy_id"], row["object_id"]): row["status"] for row in lake.rows("policy_output", DAY_2)}
    assert verdicts == {
        (SCAN, "arn:aws:ecr:eu-west-1:111111111111:repository/app"): "COMPLIANT",
        (ENCRYPTION, "arn:aws:ecr:eu-west-1:111111111111:repository/app"): "UNDETERMINED",
        ("/ce/test/place", "arn:aws:ecr:eu-west-1:111111111111:place"): "INCOMPLIANT",
        ("/ce/test/place", "arn:aws:ecr:us-east-1:111111111111:place"): "UNDETERMINED",
    }

    (folder / "logic.sql").write_text(f"SELECT * FROM ({PLACE_LOGIC}) LIMIT 0", encoding="utf-8")
    with pytest.raises(PolicyError, match=r"Each object of the input 'places' needs one verdict"):
        evaluate(lake.lake, load_catalog(sql), DAY_2, owner_tags=())
