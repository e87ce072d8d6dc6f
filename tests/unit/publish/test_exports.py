"""The files beside the database: each format has its own, and costs nothing before it is written."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

from ecr_audit.publish.build import publish
from ecr_audit.publish.exports import CHECKSUMS, EXPORTS, Source
from ecr_audit.publish.publication import DATABASE
from ecr_audit.publish.published_file import open_published
from support.small_lake import SmallLake

DAY = date(2026, 11, 1)


def test_each_format_has_files_of_its_own_and_all_are_published(small_lake: SmallLake, tmp_path: Path) -> None:
    small_lake.night(DAY, repositories=[{}])
    published = publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=()).published
    names = [DATABASE, CHECKSUMS]
    for name, write in EXPORTS.items():
        folder = tmp_path / name
        folder.mkdir()
        with open_published(published.database, folder=tmp_path) as database:
            write(Source(database, small_lake.lake), folder)
        written = [path.name for path in folder.iterdir()]
        assert written, f"{name} has no files"
        names += written
    assert sorted(names) == sorted(path.name for path in published.folder.iterdir())


def test_a_step_imports_no_format_before_it_is_written() -> None:
    """Each step begins in a new process, which would load them every time."""
    program = (
        "import sys, ecr_audit.publish.steps;"
        "print({'xlsxwriter', 'adbc_driver_postgresql', 'rich', 'pandas', 'botocore'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[3] / "plugins", capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")
