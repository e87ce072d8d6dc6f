"""Every line and document that a night of the demo exports is valid, under all policies and in all of its story."""

from __future__ import annotations

import json
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


@pytest.mark.slow
def test_every_line_and_document_of_a_demo_night_is_valid(tmp_path: Path) -> None:
    lake, catalog = Lake(str(tmp_path / "lake")), load_catalog(SQL_ROOT)
    write_history(lake, catalog, date(2026, 11, 23), owner_tags=("owner", "team"), nights=(0, 38))
    publish(lake, catalog, tmp_path / "publish", owner_tags=("owner", "team"), options=ALL_FORMATS)
    folder = complete(lake, tmp_path / "publish", ALL_FORMATS).folder
    records = ocsf.read_lines(folder / OCSF)
    assert len(records) > 5_000 and ocsf.faults(records) == []
    assert [fault for record in ocsf.read_lines(folder / ASFF) for fault in asff.faults(record)] == []
    for framework_id in FRAMEWORKS:
        document = json.loads((folder / file_name(framework_id)).read_text("utf-8"))
        assert oscal.faults(document) == [], framework_id
