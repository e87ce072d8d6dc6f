"""`make up-demo`: the environment in which Airflow runs, with a stand-in for Airflow."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from demo import up
from demo.environment import demo_settings

# Writes its environment, and asks the emulated AWS whether it is there.
AIRFLOW = """#!/usr/bin/env python3
import json, os, socket, urllib.parse
address = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
socket.create_connection((address.hostname, address.port)).close()
with open(os.environ["WRITTEN"], "w") as file:
    json.dump(dict(os.environ), file)
raise SystemExit(3)
"""


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of somebody who works on a real organization, too."""
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "WRITTEN": str(tmp_path / "written")}
    environ |= {"ECR_AUDIT_DATA": str(tmp_path / "data"), "ECR_AUDIT_FOUR_EYES": "true", "AWS_PROFILE": "hub"}
    monkeypatch.setattr("os.environ", environ)


def test_remediation_is_on_over_the_emulated_aws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(up, "newest_date", lambda _: datetime.now(UTC).date())
    (tmp_path / "airflow").write_text(AIRFLOW)
    (tmp_path / "airflow").chmod(0o755)
    assert up.main() == 3
    found = json.loads((tmp_path / "written").read_text())
    assert {name: found[name] for name in up.REMEDIATION} == up.REMEDIATION
    assert not up.REMEDIATION.keys() & demo_settings("").keys()
    assert found["ECR_AUDIT_DATA"] == str(tmp_path / "data")
    for name in ("ECR_AUDIT_WAIVERS", "ECR_AUDIT_EVIDENCE"):
        assert Path(found[name]).is_relative_to(tmp_path / "data")
    assert not {"AWS_PROFILE", "ECR_AUDIT_FOUR_EYES"} & found.keys()
    assert capsys.readouterr().out == "Ignored in the demo: AWS_PROFILE, ECR_AUDIT_FOUR_EYES\n"


def test_without_an_audit_it_names_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert up.main() == 1
    assert f"{tmp_path / 'data'} has no audit of the demo yet: make audit" in capsys.readouterr().out
