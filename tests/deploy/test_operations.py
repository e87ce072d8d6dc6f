"""docs/operations.md: what it does to folders runs as it stands, and its table has the messages of the code."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ecr_audit.lake.storage import LakeError
from support.small_lake import SmallLake

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
FIRST, LAST, NEXT = date(2026, 10, 30), date(2026, 10, 31), date(2026, 11, 1)
POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"


class Place:
    """A data folder with the lake of tests/fixtures, an Airflow's database, and a shell for the document's commands."""

    def __init__(self, folder: Path, small_lake: SmallLake) -> None:
        self.small_lake = small_lake
        self.lake = Path(small_lake.lake.root)
        self.backup, self.airflow = folder / "backup", folder / ".airflow"
        shutil.copytree(ROOT / "tests" / "fixtures" / "lake-v2", self.lake)
        for made in (self.backup, self.airflow, folder / ".venv" / "bin"):
            made.mkdir(parents=True)
        (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
        with closing(sqlite3.connect(self.airflow / "airflow.db")) as database, database:
            database.execute("CREATE TABLE dag_run AS SELECT 1 AS id")
        self._folder = folder

    def run(self, heading: str, wanted: str) -> None:
        """Run the blocks under a heading that hold some word."""
        [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
        blocks = [block for block in re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S) if wanted in block]
        assert blocks
        environment = os.environ | {
            "ECR_AUDIT_DATA": str(self.lake.parent),
            "BACKUP": str(self.backup),
            "AIRFLOW_HOME": str(self.airflow),
        }
        script = "\n".join(["set -eu", *blocks])
        done = subprocess.run(["bash", "-c", script], cwd=self._folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def next_night(self) -> dict[str, Any]:
        """Evaluate a night on which one repository is as before; returns its verdict."""
        self.small_lake.night(NEXT, repositories=[{"repository_name": "web"}])
        rows = self.small_lake.rows("policy_output", NEXT)
        [row] = [row for row in rows if row["policy_id"] == POLICY and row["object_id"].endswith("/web")]
        return dict(row)


@pytest.fixture
def place(tmp_path: Path, small_lake: SmallLake) -> Place:
    return Place(tmp_path, small_lake)


def test_a_lake_is_backed_up_and_restored(place: Place) -> None:
    place.run("Backing up", "cp --archive")
    shutil.rmtree(place.lake / "policy_output" / f"snapshot_date={LAST}")
    with pytest.raises(LakeError, match="cannot be read"):
        place.next_night()
    place.run("Restoring", "cp --archive")
    row = place.next_night()
    assert (row["status"], row["incompliant_start_date"]) == ("INCOMPLIANT", date(2026, 10, 29))


def test_airflows_sqlite_is_copied_while_it_is_in_use(place: Place) -> None:
    with closing(sqlite3.connect(place.airflow / "airflow.db")) as in_use:
        in_use.execute("INSERT INTO dag_run VALUES (2)")
        in_use.commit()
        in_use.execute("SELECT * FROM dag_run").fetchone()
        place.run("Backing up", "sqlite3")
    with closing(sqlite3.connect(place.backup / "airflow.db")) as copy:
        assert copy.execute("SELECT id FROM dag_run ORDER BY id").fetchall() == [(1,), (2,)]


def test_a_night_is_taken_out_by_its_commits(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for commit in place.lake.glob(f"_commits/*/{LAST}.json"):
        commit.rename(commit.with_name("2026-11-20.json"))
    place.run("A night that was missed", "rm ")
    lake = place.small_lake.lake
    assert lake.snapshot_dates("inventory") == [FIRST]
    assert place.next_night()["status_date"] == date(2026, 10, 29)


def test_the_messages_of_the_table_are_the_programs() -> None:
    program = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "plugins").rglob("*.py"))
    [table] = re.findall(r"^\| message \|.*?\n(.*?)\n\n", TEXT, flags=re.MULTILINE | re.DOTALL)
    messages = re.findall(r"^\| `([^`]+)` \|", table, flags=re.MULTILINE)
    assert len(messages) > 15
    assert [message for message in messages if message not in program] == []
