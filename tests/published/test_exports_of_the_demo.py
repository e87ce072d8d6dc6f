"""Every line and document that a night of the demo exports is valid, under all policies and in all of its story.

The commands of docs/ that read a file find something in it. Trestle reads the documents, in an environment of its own:
`make test-slow` sets it up.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest

from demo.history import write_history
from ecr_audit.catalog import load_catalog
from ecr_audit.lake.lake import Lake
from ecr_audit.publish.build import publish
from ecr_audit.publish.completion import complete
from ecr_audit.publish.exports import ASFF, OCSF
from ecr_audit.publish.oscal import FRAMEWORKS, file_name
from ecr_audit.settings import SQL_ROOT
from support import asff, ocsf, oscal
from support.exported_nights import ALL_FORMATS
from support.paths import ROOT

pytestmark = pytest.mark.slow

TRESTLE = ROOT / ".venv-tools" / "bin" / "python"
# Those that unpack a file and hand it to jq.
COMMANDS = [
    command
    for document in sorted((ROOT / "docs").glob("*.md"))
    for command in re.findall(r"^gzip -dc .*$", document.read_text("utf-8"), flags=re.MULTILINE)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A publication with all formats."""
    root = tmp_path_factory.mktemp("demo")
    lake, catalog = Lake(str(root / "lake")), load_catalog(SQL_ROOT)
    write_history(lake, catalog, date(2026, 11, 23), owner_tags=("owner", "team"), nights=(0, 38))
    publish(lake, catalog, root / "publish", owner_tags=("owner", "team"), options=ALL_FORMATS)
    return complete(lake, root / "publish", ALL_FORMATS).folder


def test_every_line_and_document_of_a_demo_night_is_valid(folder: Path) -> None:
    records = ocsf.read_lines(folder / OCSF)
    assert len(records) > 5_000 and ocsf.faults(records) == []
    assert (folder / OCSF).stat().st_size <= 85 * len(records)
    assert [fault for record in ocsf.read_lines(folder / ASFF) for fault in asff.faults(record)] == []
    for framework_id in FRAMEWORKS:
        document = json.loads((folder / file_name(framework_id)).read_text("utf-8"))
        assert oscal.faults(document) == [], framework_id


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 1


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_finds_something(folder: Path, tmp_path: Path, command: str) -> None:
    """With an account and a region of the demo in place of the example's."""
    [found, *_] = ocsf.read_lines(folder / ASFF)
    account_id, region = found["AwsAccountId"], found["Resources"][0]["Region"]
    of_demo = command.replace("111111111111", account_id).replace("eu-west-1", region)
    for name in (OCSF, ASFF):
        (tmp_path / name).symlink_to(folder / name)
    done = subprocess.run(["bash", "-o", "pipefail", "-c", of_demo], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    batch = tmp_path / "batch.json"
    assert json.loads(batch.read_text("utf-8")) if "> batch.json" in command else done.stdout.count("\n") > 10


@pytest.mark.skipif(not TRESTLE.exists(), reason="Trestle is not set up: make test-slow")
def test_trestle_imports_and_validates_each_document(folder: Path, tmp_path: Path) -> None:
    files = [folder / file_name(framework_id) for framework_id in FRAMEWORKS]
    reader = ROOT / "tests" / "support" / "read_by_trestle.py"
    done = subprocess.run(
        [TRESTLE, reader, tmp_path / "workspace", *files], capture_output=True, text=True, env={"HOME": str(tmp_path)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for file in files:
        [kept] = (tmp_path / "workspace").glob(f"assessment-results/{file.stem}/*.json")
        published, imported = (json.loads(each.read_text("utf-8"))["assessment-results"] for each in (file, kept))
        assert published["uuid"] == imported["uuid"]
        findings = [len(each["results"][0]["findings"]) for each in (published, imported)]
        assert findings[0] == findings[1] > 0
