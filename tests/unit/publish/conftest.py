"""The nights whose exported files several tests look at."""

from __future__ import annotations

import pytest

from support.exported_nights import ExportedNight, exported_nights


@pytest.fixture(scope="session")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[ExportedNight]:
    """Two nights, published with all formats."""
    return exported_nights(tmp_path_factory.mktemp("nights"))
