"""The command behind `make audit` and `make audit-aws`, run as people run it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import audit as audit_command
import duckdb
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

from demo.emulated_aws.server import EmulatedAws
from support.paths import PYTHONPATH, ROOT
from support.processes import PATIENCE, free_port

pytestmark = pytest.mark.airflow

Audit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def audit(airflow_database: None, tmp_path: Path) -> Audit:
    """Runs the command with an environment of its own; its data go to the test's folder."""
    base = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ECR_AUDIT_"))}
    base |= {
        "ECR_AUDIT_DATA": str(tmp_path),
        "PYTHONPATH": PYTHONPATH,
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(where: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "bin" / "audit.py"), where]
        return subprocess.run(command, env=base | environment, capture_output=True, text=True, timeout=PATIENCE)

    return run


@pytest.fixture
def forbidden_endpoint() -> Iterator[tuple[str, list[str]]]:
    """A place that nobody may connect to, and who did."""
    visitors: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                visitors.append(str(address))
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", visitors
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("SELECT 1", True),
        ("UPDATE alembic_version SET version_num = 'older'", False),
        ("DELETE FROM alembic_version", False),
        ("DROP TABLE alembic_version", False),
    ],
)
def test_a_database_that_is_not_of_this_airflow_is_found(
    change: str, expected: bool, airflow_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copy(airflow_tables, tmp_path / "airflow.db")
    engine = create_engine(f"sqlite:///{copy}")
    with engine.begin() as connection:
        connection.execute(text(change))
    monkeypatch.setattr("airflow.settings.Session", sessionmaker(engine))
    assert audit_command.is_migrated() is expected


@pytest.mark.slow
def test_the_demo_ends_with_the_summary_and_never_talks_to_a_real_aws(
    audit: Audit, forbidden_endpoint: tuple[str, list[str]], tmp_path: Path
) -> None:
    """Whatever credentials, endpoints and settings the environment holds for a real organization."""
    endpoint, visitors = forbidden_endpoint
    done = audit(
        "demo",
        AWS_ENDPOINT_URL=endpoint,
        AWS_ENDPOINT_URL_ECR=endpoint,
        AWS_PROFILE="production",
        AWS_ACCESS_KEY_ID="AKIAREAL",
        AWS_SECRET_ACCESS_KEY="real",
        ECR_AUDIT_AWS_CONN_ID="aws_production",
        ECR_AUDIT_LAKE=str(tmp_path / "the-real-lake"),
        ecr_audit_regions="us-east-1",
    )
    [ignored] = re.findall(r"^Ignored in the demo: (.*(?:\n.+)?)$", done.stdout, re.MULTILINE)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_ECR", "ECR_AUDIT_AWS_CONN_ID", "ECR_AUDIT_LAKE", "ecr_audit_regions"):
        assert name in ignored
    assert done.returncode == 0, done.stdout + done.stderr
    assert visitors == []
    assert not (tmp_path / "the-real-lake").exists()
    with duckdb.connect(str(tmp_path / "publish/compliance.duckdb"), read_only=True) as published:
        [(compliant, evaluated)] = published.sql(
            "FROM policy_output SELECT count(*) FILTER (WHERE status = 'COMPLIANT'),"
            " count(*) FILTER (WHERE status IN ('COMPLIANT', 'INCOMPLIANT'))"
            " WHERE policy_id = '/ce/ca/aws/ecr/repository-image-tag-mutability'"
        ).fetchall()
        # Both nights are scanned today; what only the first one saw was last known on its own day.
        days = published.sql(
            "SELECT DISTINCT observed, (SELECT snapshot_date FROM publication) - collected_at::DATE FROM repositories"
        ).fetchall()
    assert sorted(days) == [(False, 1), (True, 0)]
    linked = f"{100 * compliant / evaluated:.1f} % ({compliant:,}/{evaluated:,})"
    # Five of its ten sections hold it alone.
    assert done.stdout.count(linked) == 5
    for reported in ("Coverage", "ASSUME_ROLE_DENIED", "Since the night before", "Owners with most to fix"):
        assert reported in done.stdout
    steps = re.findall(r"^  (\w+): (?:\d+\.\d s|skipped)$", done.stdout, flags=re.MULTILINE)
    inventory = ("discover_organization", "plan_scan", "scan_accounts", "commit_snapshot", "check_coverage")
    image_tags = ("choose_snapshot", "plan_reads", "read_tags", "commit_tags", "read_trail")
    compliance = ("evaluate_policies", "roll_up_frameworks", "publish", "complete_publication", "announce")
    elsewhere = ("publish_to_postgres", "import_into_security_hub")
    assert Counter(steps) == dict.fromkeys((*inventory, *image_tags, *compliance, *elsewhere), 2)
    for reported in (
        "Planned 1 batch of accounts",
        "Planned 1 batch of repositories",
        "Written: database",
        "Written: workbook",
    ):
        assert done.stdout.count(reported) == 2
    assert "Writing: " not in done.stdout, "a line in a pipe would stay"
    # Without it the shell would open the file of another data folder.
    assert f"ECR_AUDIT_DATA={tmp_path} make sql" in done.stdout
    assert f"ECR_AUDIT_DATA={tmp_path} make verify" in done.stdout
    assert len([*Path(tmp_path, "evidence", "log").iterdir()]) == 2
    [log] = re.findall(r"Full log: (\S+)", done.stdout)
    logged = Path(log).read_text(encoding="utf-8")
    assert "lineage" not in logged.lower(), "nobody asked for it"
    lines = [line for line in logged.splitlines() if "[ecr_audit." in line]
    runs = [dict(re.findall(r" (dag_id|run_id|task_id)=(\S+)", line)) for line in lines]
    assert all(run.keys() == {"dag_id", "run_id", "task_id"} for run in runs), lines
    # Two nights of three DAGs.
    assert len({(run["dag_id"], run["run_id"]) for run in runs}) == 6


@pytest.mark.slow
def test_a_night_that_only_postgresql_lacks_is_summed_up_and_red(
    audit: Audit, demo: EmulatedAws, tmp_path: Path
) -> None:
    settings = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "ECR_AUDIT_"))}
    done = audit(
        "aws",
        **settings
        | {
            "ECR_AUDIT_DATA": str(tmp_path),
            "ECR_AUDIT_ACCOUNTS": demo.world.hub_account_id,
            "ECR_AUDIT_REGIONS": "us-east-1",
            "ECR_AUDIT_POSTGRES_CONN_ID": "bi",
            "AIRFLOW_CONN_BI": f"postgres://audit@127.0.0.1:{free_port()}/bi",
        },
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "publish_to_postgres: " in done.stdout
    assert "unchanged" not in done.stdout
    assert "Since the night before" in done.stdout


@pytest.mark.slow
def test_faults_of_aws_are_reported_and_nothing_is_published(audit: Audit, tmp_path: Path) -> None:
    done = audit("aws")
    assert done.returncode == 1
    assert "No AWS credentials for the hub account" in done.stdout
    assert "The audit failed. Nothing was published." in done.stdout
    assert not (tmp_path / "publish").exists()


@pytest.mark.slow
def test_all_faults_of_the_settings_are_reported_before_anything_starts(audit: Audit) -> None:
    done = audit("aws", ECR_AUDIT_CONCURRENCY="0", ECR_AUDIT_REGION="x")
    assert done.returncode == 1
    assert "ECR_AUDIT_CONCURRENCY: '0'" in done.stdout
    assert "Did you mean ECR_AUDIT_REGIONS?" in done.stdout


@pytest.mark.slow
def test_without_the_dags_the_setting_of_their_folder_is_named(audit: Audit, tmp_path: Path) -> None:
    done = audit("aws", AIRFLOW__CORE__DAGS_FOLDER=str(tmp_path))
    assert done.returncode == 1
    reported = " ".join(done.stdout.split())
    assert (
        f"AIRFLOW__CORE__DAGS_FOLDER: '{tmp_path}' does not have ecr_inventory, ecr_image_tags, ecr_compliance"
        in reported
    )
    assert "make audit-aws" in reported


def test_the_log_goes_where_the_setting_of_the_data_means(audit: Audit, tmp_path: Path) -> None:
    done = audit("aws", ECR_AUDIT_DATA='"data"')
    assert (done.returncode, "ECR_AUDIT_DATA: '\"data\"': is in quotation marks" in done.stdout) == (1, True)
    done = audit("aws", ECR_AUDIT_DATA=" ~/audit", HOME=str(tmp_path), ECR_AUDIT_CONCURRENCY="0")
    assert f"Full log: {tmp_path}/audit/logs/" in done.stdout
    assert not Path('"data"').exists() and not Path(" ~").exists()
