"""Both DAGs, run by Airflow's own task runner over the emulated AWS."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as postgresql
import duckdb
import pytest

from demo.emulated_aws.server import EmulatedAws
from demo.organization import demo_world
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import IMAGE_TAG_READS
from ecr_audit.vocabulary import Facet
from support.lakes import committed
from support.processes import free_port
from support.receivers import Http

from .conftest import Run

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]

Published = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def published(tmp_path: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    """Ask the published file."""

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(tmp_path / "data/publish/compliance.duckdb"), read_only=True) as database:
            return database.execute(sql).fetchall()

    return ask


def night(monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    monkeypatch.setenv("ECR_AUDIT_SNAPSHOT_DATE", day)


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first audit of this module leaves its data, for the others to start from."""
    return tmp_path_factory.mktemp("first-night") / "data"


@pytest.fixture
def audited(
    demo: EmulatedAws, run_dag: Run, first_night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo's first night, as of 1 November 2026, is audited and published."""
    with monkeypatch.context() as patch:
        patch.setenv("ECR_AUDIT_DATA", str(first_night))
        patch.setenv("ECR_AUDIT_SNAPSHOT_DATE", "2026-11-01")
        if not first_night.exists():
            assert run_dag("ecr_inventory") == ("success", {})
            assert run_dag("ecr_compliance", snapshot_date="2026-11-01") == ("success", {})
    shutil.copytree(first_night, tmp_path / "data")


def test_two_nights(
    demo: EmulatedAws, run_dag: Run, audited: None, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo.world = demo_world(2)
    night(monkeypatch, "2026-11-02")
    assert run_dag("ecr_inventory") == ("success", {})
    # Without a date: the newest.
    assert run_dag("ecr_compliance") == ("success", {})

    targets = {(account, region.name) for account in demo.world.accounts for region in demo.world.regions}
    outcomes = {target: demo.world.outcome(*target) for target in targets}
    seen = published("SELECT account_id, region, outcome FROM scan_targets")
    assert {(account, region): outcome for account, region, outcome in seen} == outcomes
    assert published("SELECT DISTINCT snapshot_date::VARCHAR FROM section_compliance ORDER BY 1") == [
        ("2026-11-01",),
        ("2026-11-02",),
    ]


@pytest.mark.slow
def test_image_tags_are_read_only_where_the_setting_asks_for_it(
    demo: EmulatedAws, run_dag: Run, audited: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(str(tmp_path / "data" / "lake"))
    assert run_dag("ecr_image_tags") == ("success", {})
    assert lake.snapshot_dates("image_tags") == []
    monkeypatch.setenv("ECR_AUDIT_IMAGE_TAGS", "all")
    assert run_dag("ecr_image_tags") == ("success", {})
    reads = lake.read_table(committed(lake, "image_tags", date(2026, 11, 1)), IMAGE_TAG_READS).to_pylist()
    outcomes = {(row["account_id"], row["region"], row["outcome"]) for row in reads}
    assert outcomes
    assert outcomes == {
        (account, region.name, "COLLECTED")
        for account in demo.world.accounts
        for region in demo.world.regions
        if demo.world.outcome(account, region.name) == "COLLECTED" and demo.world.repositories(account, region.name)
    }


def test_the_ten_sections_carry_the_worlds_own_numbers(demo: EmulatedAws, audited: None, published: Published) -> None:
    """The ten of the policy on mutability; their figures wherever it is the only policy of the section."""
    values = [
        (each.image_tag_mutability or "").strip().upper()
        for account in demo.world.accounts
        for region in demo.world.regions
        if demo.world.outcome(account, region.name) == "COLLECTED"
        for each in demo.world.repositories(account, region.name)
    ]
    known = {"IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"}
    incompliant = values.count("MUTABLE")
    compliant = sum(value in known for value in values)
    undetermined = len(values) - incompliant - compliant
    assert incompliant and compliant and undetermined
    rows = published(
        """
        SELECT framework_name, section_title, sub_sections, internal_rules, policies,
            incompliant, compliant, undetermined, round(compliance_percent, 6)
        FROM section_compliance
        JOIN section_policies USING (section_id)
        WHERE scope_type = 'organization' AND policy_id LIKE '%/repository-image-tag-mutability'
        ORDER BY framework_name, position
        """
    )
    percent = round(100 * compliant / (compliant + incompliant), 6)
    counts = (1, 1, incompliant, compliant, undetermined, percent)
    nist, high, moderate = "NIST SP 800-53 Revision 5", "FedRAMP High", "FedRAMP Moderate"
    fsbp = "AWS Foundational Security Best Practices v1.0.0"
    base = "CM-2 Baseline Configuration"
    updates = "Updates During Installation and Removal"
    assert [row[:3] for row in rows] == [
        (fsbp, "[ECR.2] ECR private repositories should have tag immutability configured", 0),
        ("Cloudaware Framework", "System Configuration", 0),
        (f"{high} Security Controls", f"{base} (L)(M)(H)", 3),
        (f"{high} Security Controls", f"CM-8(1) {updates} (M)(H)", 0),
        ("FedRAMP Low Security Controls", f"{base} (L)(M)(H)", 0),
        (f"{moderate} Security Controls", f"{base} (L)(M)(H)", 3),
        (f"{moderate} Security Controls", f"CM-8(1) {updates} (M)(H)", 0),
        (nist, "CA-9(1) Internal System Connections _ Compliance Checks", 0),
        (nist, base, 7),
        (nist, f"CM-8(1) System Component Inventory _ {updates}", 0),
    ]
    assert {row[3:] for row in rows if row[4] == 1} == {counts}


@pytest.mark.slow
def test_a_run_of_one_account_leaves_the_rest_of_the_day_as_it_is(
    demo: EmulatedAws, run_dag: Run, audited: None, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(monkeypatch, "2026-11-01")
    everything = "SELECT COLUMNS(name -> NOT ends_with(name, '_at')) FROM repositories ORDER BY repository_arn"
    before = published(everything)
    demo.counters.operations.clear()
    account = demo.world.hub_account_id
    assert run_dag("ecr_inventory", accounts=[account], ous=[], regions=["us-east-1"]) == ("success", {})
    assert demo.counters.operations["ecr:DescribeRepositories"] == 1
    assert run_dag("ecr_compliance") == ("success", {})
    assert published(everything) == before


@pytest.mark.slow
def test_a_night_of_inactive_accounts_and_of_one_that_has_left_is_committed_and_published(
    demo: EmulatedAws, run_dag: Run, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to scan, so no batch: what follows the batches has to run all the same."""
    inactive = next(account.id for account in demo.world.accounts.values() if account.state != "ACTIVE")
    monkeypatch.setenv("ECR_AUDIT_ACCOUNTS", f"{inactive},999999999999")
    night(monkeypatch, "2026-11-01")
    assert run_dag("ecr_inventory") == ("success", {})
    assert run_dag("ecr_compliance") == ("success", {})
    assert published("SELECT DISTINCT account_id, outcome FROM scan_targets") == [(inactive, "ACCOUNT_INACTIVE")]
    assert published("SELECT coverage_percent, missing_accounts FROM publication") == [(None, ["999999999999"])]


# Columns in which two runs that saw the same differ.
TIMES = {"collected_at", "details_read_at", "started_at", "duration_ms", "run_time", "request_id"}
TIMES |= {f"{facet}_read_at" for facet in Facet}


@pytest.mark.slow
def test_a_night_that_is_run_twice_publishes_the_same(
    demo: EmulatedAws, run_dag: Run, audited: None, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everything() -> dict[str, list[str]]:
        rows = {}
        for (table,) in published("SELECT table_name FROM duckdb_tables() WHERE table_name <> 'publication'"):
            columns = [name for (name,) in published(f"SELECT name FROM pragma_table_info('{table}')")]
            kept = ", ".join(name for name in columns if name not in TIMES)
            found = published(f"SELECT {kept} FROM {table} ORDER BY ALL")
            # AWS's messages name the session, which is named after the run.
            rows[table] = [re.sub(r"ecr-audit@manual\S+", "ecr-audit", str(row)) for row in found]
        return rows

    before = everything()
    assert len(before["repositories"]) > 1000
    night(monkeypatch, "2026-11-01")
    assert run_dag("ecr_inventory") == ("success", {})
    assert run_dag("ecr_compliance") == ("success", {})
    assert everything() == before


@pytest.mark.slow
def test_too_little_coverage_is_red_and_published_all_the_same(
    demo: EmulatedAws, run_dag: Run, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECR_AUDIT_MIN_COVERAGE", "0.95")
    with Http() as slack:
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_ALERTS", slack.connection)
        monkeypatch.setenv("ECR_AUDIT_ALERT_SLACK_CONN_ID", "slack_alerts")
        state, faults = run_dag("ecr_inventory")
        assert state == "failed"
        assert list(faults) == ["check_coverage"]
        assert "ECR_AUDIT_MIN_COVERAGE" in faults["check_coverage"]
        assert run_dag("ecr_compliance") == ("success", {})
    failed, coverage = (payload["text"] for payload in slack.slack)
    assert failed.startswith("ECR audit: ecr_inventory failed\n") and "failed in task check_coverage" in failed
    assert "coverage 92.9 % is under the minimum" in coverage
    assert published("SELECT count(*) > 1000 FROM repositories") == [(True,)]


def test_a_postgresql_that_is_away_costs_its_own_task_and_nothing_else(
    demo: EmulatedAws,
    run_dag: Run,
    audited: None,
    published: Published,
    postgres: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The night is published and its alerts are sent; once the server is back, that task alone puts it right."""
    monkeypatch.setenv("ECR_AUDIT_POSTGRES_CONN_ID", "bi")
    monkeypatch.setenv("ECR_AUDIT_POSTGRES_SCHEMA", "away")
    monkeypatch.setenv("AIRFLOW_CONN_BI", f"postgres://publisher@127.0.0.1:{free_port()}/postgres")
    # So that the night has something to alert of.
    monkeypatch.setenv("ECR_AUDIT_MIN_COVERAGE", "0.95")
    [(before,)] = published("SELECT published_at FROM publication")
    with Http() as slack:
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_ALERTS", slack.connection)
        monkeypatch.setenv("ECR_AUDIT_ALERT_SLACK_CONN_ID", "slack_alerts")
        state, faults = run_dag("ecr_compliance")
    assert (state, list(faults)) == ("failed", ["publish_to_postgres"])
    assert "127.0.0.1" in faults["publish_to_postgres"]
    [publication] = published("SELECT published_at, compliance_commit FROM publication")
    assert publication[0] > before
    coverage, failed = (payload["text"] for payload in slack.slack)
    assert "coverage 92.9 % is under the minimum" in coverage
    assert failed.startswith("ECR audit: ecr_compliance failed\n") and "failed in task publish_to_postgres" in failed
    assert "The night is published; only PostgreSQL still has the night before." in failed

    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*") if path.is_file()}
    monkeypatch.setenv("AIRFLOW_CONN_BI", postgres.replace("postgresql://", "postgres://"))
    assert run_dag("ecr_compliance", only="publish_to_postgres") == ("success", {})
    with postgresql.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT published_at, compliance_commit FROM away.publication")
        assert cursor.fetchall() == [publication]
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert len(list((tmp_path / "data/publish/versions").iterdir())) == 2


TOTAL_FAILURES: dict[str, tuple[dict[str, str | None], str, str]] = {
    "role": ({"ECR_AUDIT_ROLE_NAME": "no-such-role"}, "commit_snapshot", "No target of a member account was collected"),
    "keys": ({"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN"}, "discover_organization", "AWS rejects the hub's credentials"),
    "no keys": ({"AWS_ACCESS_KEY_ID": None}, "discover_organization", "No AWS credentials"),
    "region": (
        {"ECR_AUDIT_REGIONS": "eu-west-11"},
        "plan_scan",
        "'eu-west-11' is not a region of ECR in partition",
    ),
    "connection": ({"ECR_AUDIT_AWS_CONN_ID": "nowhere"}, "discover_organization", "nowhere"),
    "setting": ({"ECR_AUDIT_CONCURRENCY": "lots"}, "discover_organization", "ECR_AUDIT_CONCURRENCY: 'lots'"),
    "lake": ({"ECR_AUDIT_LAKE": "/dev/null/lake"}, "discover_organization", "ECR_AUDIT_LAKE"),
}


@pytest.mark.parametrize("case", TOTAL_FAILURES)
def test_a_total_failure_is_red_and_leaves_the_published_file_alone(
    case: str,
    demo: EmulatedAws,
    run_dag: Run,
    audited: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment, task, message = TOTAL_FAILURES[case]
    folder = tmp_path / "data"
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "_parts" not in path.parts}

    night(monkeypatch, "2026-11-02")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in environment.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    state, faults = run_dag("ecr_inventory")
    assert state == "failed"
    assert message in faults[task]
    now = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "_parts" not in path.parts}
    assert now == files


@pytest.mark.slow
def test_an_account_that_went_dark_keeps_its_repositories(
    demo: EmulatedAws, run_dag: Run, audited: None, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its repositories turn UNDETERMINED with yesterday's value; what was seen elsewhere is evaluated as before."""
    policy = "policy_id LIKE '%/repository-image-tag-mutability'"
    [(dark, known)] = published(
        f"SELECT account_id, count(*) FROM policy_output WHERE {policy} AND status = 'INCOMPLIANT' GROUP BY 1"
        " HAVING count(*) BETWEEN 5 AND 30 ORDER BY 1 LIMIT 1"
    )
    of_others = (
        f"SELECT status, count(*) FROM policy_output WHERE {policy} AND account_id <> '{dark}' GROUP BY 1 ORDER BY 1"
    )
    percent = "SELECT compliance_percent FROM account_compliance WHERE {} AND account_id = '{}'"
    before, others = published(of_others), published(percent.format(policy, demo.world.hub_account_id))

    demo.world = replace(
        demo.world,
        accounts={**demo.world.accounts, dark: replace(demo.world.accounts[dark], assumable=False)},
    )
    night(monkeypatch, "2026-11-02")
    monkeypatch.setenv("ECR_AUDIT_MIN_COVERAGE", "0.5")
    run_dag("ecr_inventory")
    run_dag("ecr_compliance")
    rows = published(
        f"SELECT DISTINCT status, observed, condition_index FROM policy_output WHERE {policy} AND account_id = '{dark}'"
    )
    assert rows == [("UNDETERMINED", False, 599)]
    [(reported,)] = published(
        f"SELECT count(*) FROM policy_output WHERE {policy} AND account_id = '{dark}'"
        " AND current_state_message LIKE 'Not seen: ASSUME_ROLE_DENIED (AccessDenied). Last known, of %MUTABLE%'"
    )
    assert reported >= known
    assert published(of_others) == before
    assert published(percent.format(policy, demo.world.hub_account_id)) == others
    [(coverage_before, coverage_now)] = published(
        "SELECT min(coverage_percent) FILTER (WHERE snapshot_date = '2026-11-01'),"
        " min(coverage_percent) FILTER (WHERE snapshot_date = '2026-11-02')"
        " FROM section_compliance WHERE scope_type = 'organization'"
    )
    assert coverage_now < coverage_before
