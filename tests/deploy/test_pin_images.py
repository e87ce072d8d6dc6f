"""`make pin-images`: the digests come from Docker, are written beside the tags, and are renewed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("Dockerfile", "docker-compose.yaml")

# Stands in for Docker: knows what it has pulled, by a digest that is made of the image and of DAY.
DOCKER = """#!/usr/bin/env python3
import hashlib, os, pathlib, sys
pulled = pathlib.Path(os.environ["PULLED"])
command, image = sys.argv[1], sys.argv[-1]
if image.startswith(os.environ.get("UNKNOWN", "nothing")):
    sys.exit(f"Error response from daemon: manifest for {image} not found")
if command == "pull":
    assert sys.argv[2:-1] == ["--quiet"]
    pulled.write_text(pulled.read_text() + image + chr(10) if pulled.exists() else image + chr(10))
else:
    assert sys.argv[1:5] == ["image", "inspect", "--format", '{{join .RepoDigests "\\\\n"}}'], sys.argv
    assert image in pulled.read_text().split()
    digest = hashlib.sha256((os.environ["DAY"] + image).encode()).hexdigest()
    # Docker also knows under which names mirrors have an image.
    print(f"mirror.example.com/x@sha256:{'0' * 64}")
    print(f"{image.rpartition(':')[0]}@sha256:{digest}")
"""


class Checkout:
    """A copy of the files, and a shell in which `docker` is the stand-in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (*FILES, "bin/pin_images.py"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        docker = folder / "path" / "docker"
        docker.parent.mkdir()
        docker.write_text(DOCKER, encoding="utf-8")
        docker.chmod(0o755)

    def pin(self, day: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.folder / "path"), os.environ["PATH"]])
        given = {"PATH": path, "DAY": day, "PULLED": str(self.folder / "pulled")}
        command = [sys.executable, "bin/pin_images.py"]
        return subprocess.run(
            command, cwd=self.folder, env=os.environ | given | environment, capture_output=True, text=True
        )

    def texts(self) -> dict[str, str]:
        return {name: (self.folder / name).read_text(encoding="utf-8") for name in FILES}

    def pinned(self) -> dict[str, str]:
        found = re.findall(
            r"^(?:FROM | +image: )(\S+)@(sha256:\w{64})(?: AS \w+)?$", "\n".join(self.texts().values()), flags=re.M
        )
        return dict(found)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_every_base_image_is_pinned_and_nothing_else_changes(checkout: Checkout) -> None:
    before = checkout.texts()
    done = checkout.pin("monday")
    assert done.returncode == 0, done.stdout + done.stderr
    pinned = checkout.pinned()
    assert {image.partition(":")[0] for image in pinned} == {"apache/airflow", "postgres", "redis"}
    for name, text in checkout.texts().items():
        assert re.sub(r"@sha256:\w{64}", "", text) == re.sub(r"@sha256:\w{64}", "", before[name])
    assert all(f"{image} is {digest}" in done.stdout for image, digest in pinned.items())
    # No image is left by its tag alone; the audit's own is built.
    rest = re.findall(
        r"^(?:FROM | +image: )(\S+:\S+|\S+)(?: AS \w+)?$", "\n".join(checkout.texts().values()), flags=re.MULTILINE
    )
    assert {image for image in rest if "@" not in image} == {"ecr-audit", "ecr-audit-demo", "audit"}


def test_pins_are_renewed(checkout: Checkout) -> None:
    assert checkout.pin("monday").returncode == 0
    monday = checkout.pinned()
    assert checkout.pin("tuesday").returncode == 0
    tuesday = checkout.pinned()
    assert monday.keys() == tuesday.keys()
    assert not set(monday.values()) & set(tuesday.values())


def test_unless_all_are_known_nothing_is_written(checkout: Checkout) -> None:
    before = checkout.texts()
    done = checkout.pin("monday", UNKNOWN="redis")
    assert done.returncode == 1
    assert "Nothing was pinned: Error response from daemon: manifest for redis:" in done.stdout
    assert checkout.texts() == before
    (checkout.folder / "path" / "docker").unlink()
    done = checkout.pin("monday", PATH=str(checkout.folder / "path"))
    assert (done.returncode, "Nothing was pinned" in done.stdout) == (1, True)
