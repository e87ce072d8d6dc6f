"""A bundle for an auditor: with openssl, sha256sum and duckdb alone, and with `make verify`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import date
from pathlib import Path

import pytest

from ecr_audit.evidence.bundle import BundleError, draw, opened_bundle, write_bundle
from ecr_audit.evidence.log import EvidenceLog
from ecr_audit.evidence.results import Outcome
from ecr_audit.evidence.seal import seal
from ecr_audit.evidence.verification import Keys, verify
from ecr_audit.lake.lake import Lake
from support.evidence import DAYS, SealedLake, copy_of, flip
from support.paths import ROOT

# The three programs, and what a shell brings along to loop over files.
PROGRAMS = ("openssl", "sha256sum", "bash", "cat", "wc", "basename")

ARN = "arn:aws:ecr:eu-west-1:111111111111:repository/legacy"

CHANGED = "UPDATE lake.policy_output SET status = 'COMPLIANT' WHERE object_id LIKE '%legacy';"


@pytest.fixture(scope="module")
def bundle(sealed: SealedLake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first two of the three nights."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "controls.csv").write_text("a", "utf-8")
    path = folder / "evidence.zip"
    exports = {"2026-11-04-controls.csv": folder / "controls.csv"}
    made = write_bundle(sealed.evidence, path, DAYS[0], DAYS[4], size=2, seed=7, exports=exports)
    assert (made.entries, len(made.sample.nights)) == (4, 2)
    return path


def commands(readme: str) -> list[str]:
    """The indented lines of the page."""
    return [line.strip() for line in readme.splitlines() if line.startswith("       ") and line.strip()]


@pytest.mark.slow
def test_three_programs_verify_it(bundle: Path, tmp_path: Path) -> None:
    """By the page's own commands, on a machine that has nothing else."""
    machine = tmp_path / "bin"
    machine.mkdir()
    for program in PROGRAMS:
        (machine / program).symlink_to(str(shutil.which(program)))
    (machine / "duckdb").symlink_to(Path(sys.executable).with_name("duckdb"))
    folder = tmp_path / "bundle"
    with zipfile.ZipFile(bundle) as packed:
        packed.extractall(folder)
    (sums, key, signatures, chain, rederive) = commands((folder / "README.md").read_text("utf-8"))

    def run(command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={"PATH": str(machine), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    assert run(sums) == (0, "")
    [pem] = (folder / "keys").iterdir()
    assert run(key)[1].startswith(pem.stem)
    assert run(signatures)[1].splitlines() == ["Signature Verified Successfully"] * 4
    code, found = run(chain)
    assert (code, "The chain is whole: 4 entries" in found) == (0, True)
    code, found = run(rederive)
    nights = set(re.findall(r"All verdicts of (\S+) follow from what was read", found))
    assert ("FAILED" not in found, len(nights)) == (True, 2)

    # And what was changed, they find.
    script = sorted((folder / "rederive").iterdir())[0]
    script.write_text(script.read_text("utf-8").replace(".safe_mode", f"{CHANGED}\n.safe_mode"), "utf-8")
    assert f"FAILED rederive/{script.name}" in run(rederive)[1]
    payload = sorted((folder / "payloads").iterdir())[1]
    flip(payload, payload.read_bytes().index(b"COLLECTED"))
    assert f"FAILED {payload.stem}" in run(signatures)[1]
    assert "names another hash than that of the entry before it" in run(chain)[1]
    assert run(chain)[0] != 0
    assert run(sums)[0] != 0


@pytest.mark.slow
def test_the_commands(sealed: SealedLake, tmp_path: Path) -> None:
    """`make verify` and `make evidence` on an unsigned log in the data folder, as the demo leaves it."""
    unsigned = EvidenceLog(str(tmp_path / "evidence"))
    lake = Lake(str(sealed.folder / "lake-that-was"))
    seal(lake, unsigned, None, sealed.sql)

    def run(program: str, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, ROOT / "bin" / f"{program}.py", *arguments],
            env={"ECR_AUDIT_DATA": str(tmp_path), "PYTHONPATH": str(ROOT / "plugins"), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
        )
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    night = ("--date", str(DAYS[3]))
    code, found = run("verify", *night, "--repository", ARN)
    assert code == 0, found
    assert "INCOMPLIANT under" in found and f"night of {DAYS[3]}" in found.replace("Night", "night")
    written = json.loads((tmp_path / "verification.json").read_text("utf-8"))
    assert written["head"] == unsigned.index()[-1].payload_sha256
    code, found = run("verify", *night, "--repository", ARN.replace("legacy", "none"))
    assert (code, "No policy evaluated it in this night" in found) == (1, True)
    code, found = run("evidence_bundle", "--from", str(DAYS[0]), "--to", str(DAYS[4]), "--sample", "1")
    assert code == 0, found
    bundle = tmp_path / "evidence-bundles" / f"evidence-{DAYS[0]}-{DAYS[4]}.zip"
    # There is no key to verify it with, and its page asks for none.
    assert f"make verify BUNDLE={bundle}; or by its README.md" in found
    with zipfile.ZipFile(bundle) as packed:
        page = packed.read("README.md").decode()
    assert ("openssl" in page, len(commands(page))) == (False, 3)
    code, found = run("verify", "--bundle", str(bundle))
    assert (code, "the chain is whole" in found) == (0, True), found
    code, found = run("verify", "--bundle", str(bundle), "--key", str(tmp_path / "none.pem"))
    assert (code, "none.pem" in found) == (1, True)
    for argument in (("--date", "31.10.2026"), ("--sample", "0", "--from", str(DAYS[0]), "--to", str(DAYS[0]))):
        assert run("verify" if argument[0] == "--date" else "evidence_bundle", *argument)[0] == 2


@pytest.mark.slow
def test_make_verify_reads_it(bundle: Path, sealed: SealedLake) -> None:
    """All seven steps of the sampled nights, the first two of those whose files are not there."""
    with opened_bundle(bundle) as (log, sample):
        keys = Keys([sealed.signer.public], is_trusted=True)
        outcome = verify(log, keys, sample.first, sample.last, sampled=sample.nights)
    assert not outcome.failed
    ran = {night.date: {str(step.outcome) for step in night.steps} for night in outcome.nights}
    assert {day for day, found in ran.items() if found == {"ok"}} >= set(sample.nights)
    assert {day for day, found in ran.items() if found == {"ok", "not run"}} == {DAYS[3]}


def test_a_sampled_night_whose_files_were_taken_out_fails(bundle: Path, sealed: SealedLake, tmp_path: Path) -> None:
    thinner = tmp_path / "thinner.zip"
    with zipfile.ZipFile(bundle) as packed, zipfile.ZipFile(thinner, "w") as kept:
        for member in packed.infolist():
            if not member.filename.startswith("files/"):
                kept.writestr(member, packed.read(member))
    with opened_bundle(thinner) as (log, sample):
        keys = Keys([sealed.signer.public], is_trusted=True)
        outcome = verify(log, keys, sample.nights[0], sample.nights[0], sampled=sample.nights)
    assert {step.step for night in outcome.nights for step in night.steps if step.outcome is Outcome.FAILED} == {3}


def test_a_sample_is_drawn_by_its_seed(sealed: SealedLake, bundle: Path, tmp_path: Path) -> None:
    nights = [date(2026, 1, day) for day in range(1, 32)]
    drawn = draw(nights, nights[4], nights[-1], 5, 7)
    assert drawn == draw(reversed(nights), nights[4], nights[-1], 5, 7)
    assert (len(set(drawn.nights)), min(drawn.nights) >= nights[4]) == (5, True)
    assert draw(nights, nights[0], nights[3], 25, 7).nights == nights[:4]
    with pytest.raises(BundleError, match="the log is of 2026-01-01 to 2026-01-31"):
        draw(nights, date(2027, 1, 1), date(2027, 1, 2), 1, 1)
    chosen = tmp_path / "chosen.zip"
    with zipfile.ZipFile(bundle) as packed, zipfile.ZipFile(chosen, "w") as changed:
        for member in packed.infolist():
            content = packed.read(member)
            if member.filename == "sample.json":
                document = json.loads(content)
                [left_out] = {str(day) for day in (DAYS[0], DAYS[1], DAYS[3])} - set(document["nights"])
                content = json.dumps(document | {"nights": [left_out]}).encode()
            changed.writestr(member, content)
    with pytest.raises(BundleError, match="other nights than its seed draws"), opened_bundle(chosen):
        pass


def test_another_file_is_refused_as_a_bundle(tmp_path: Path, sealed: SealedLake) -> None:
    (tmp_path / "x.zip").write_bytes(b"no zip")
    with pytest.raises(BundleError, match="is not a bundle"), opened_bundle(tmp_path / "x.zip"):
        pass
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("files/" + "0" * 64, b"\0" * (64 << 20))
    with pytest.raises(BundleError, match="unpacks to 67,108,864 bytes"), opened_bundle(bomb):
        pass
    log = copy_of(sealed.evidence, tmp_path / "evidence")
    flip(sorted(Path(log.root, "files").iterdir())[0])
    with pytest.raises(BundleError, match="Verify the log"):
        write_bundle(log, tmp_path / "out.zip", DAYS[0], DAYS[4], size=9, seed=1)
