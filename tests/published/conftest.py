"""A few nights of the demo's history, published once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from demo.history import write_history
from ecr_audit.catalog import Catalog
from ecr_audit.lake.lake import Lake
from ecr_audit.publish.build import publish
from ecr_audit.publish.completion import complete
from support.demo_tags import read_image_tags
from support.made_once import made_once


@pytest.fixture(scope="session")
def demo(shared: Path, catalog: Catalog) -> Path:
    """The data folder of a demo: its first nights, some while an account is dark, and the bad week."""

    def audit(folder: Path) -> None:
        lake = Lake(str(folder / "lake"))
        write_history(lake, catalog, date(2026, 11, 23), owner_tags=("owner", "team"), nights=(0, 1, 28, 38, 43, 60))
        read_image_tags(lake, catalog, owner_tags=("owner", "team"))
        publish(lake, catalog, folder / "publish", owner_tags=("owner", "team"))
        complete(lake, folder / "publish")

    return made_once(shared / "published-demo", audit)
