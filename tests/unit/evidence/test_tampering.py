"""Whatever is changed in a log after sealing is found, and named; and what is honest passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_audit.evidence.keys import open_signer
from ecr_audit.evidence.log import EvidenceLog
from ecr_audit.evidence.proof import Proof
from ecr_audit.evidence.rederivation import Rederived
from ecr_audit.evidence.results import NightResult, Outcome, Verification
from ecr_audit.evidence.statement import LAKE
from ecr_audit.evidence.verification import Keys, VerificationError, verify
from support.evidence import (
    DAYS,
    SealedLake,
    copy_of,
    flip,
    key_file,
    name_of,
    path_of,
    rechain,
    replace_file,
    rewrite,
    set_hash,
    subject,
)

# The second of the four entries; its neighbours are there to break the chain with.
TAMPERED = 2


@pytest.fixture
def log(sealed: SealedLake, tmp_path: Path) -> EvidenceLog:
    return copy_of(sealed.evidence, tmp_path / "evidence")


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a tampered entry is run."""
    monkeypatch.setattr("ecr_audit.evidence.verification.rederive", lambda *_: pytest.fail("its SQL was run"))


def verified(sealed: SealedLake, log: EvidenceLog, **others: Any) -> Verification:
    return verify(log, Keys([sealed.signer.public], is_trusted=True), DAYS[1], DAYS[1], **others)


def failed_steps(outcome: Verification) -> dict[int, str]:
    [night] = outcome.nights
    return {each.step: each.found for each in night.steps if each.outcome is Outcome.FAILED}


def outcomes(night: NightResult) -> list[str]:
    return [str(each.outcome) for each in night.steps]


@pytest.mark.slow
def test_honest_nights_verify_from_the_log_alone(sealed: SealedLake) -> None:
    """The lake is gone. One night has a waiver, one was evaluated again after a policy changed, one is missing."""
    keys = Keys([sealed.signer.public], is_trusted=True)
    proof = Proof("arn:aws:ecr:eu-west-1:111111111111:repository/legacy")
    outcome = verify(sealed.evidence, keys, DAYS[0], DAYS[3], on_night=proof)
    assert [(night.sequence, night.superseded) for night in outcome.nights] == [
        (1, False),
        (2, False),
        (3, True),
        (4, False),
    ]
    assert {each for night in outcome.nights for each in outcomes(night)} == {"ok"}
    assert not outcome.failed
    assert outcome.faults == []
    assert outcome.notes == [
        f"nights without an entry: {DAYS[2]}",
        f"nights that were evaluated again: {DAYS[3]}",
    ]
    last, again = outcome.nights[2], outcome.nights[3]
    known = [night.steps[4].found for night in outcome.nights]
    # Seven policies of this release are not among the texts; one of the others was changed.
    assert "all known to this release" in known[0]
    assert "1 of them not those of this release" in known[3]
    assert last.payload_sha256 != again.payload_sha256 == outcome.head
    # One page for each entry, of the files as they were sealed.
    pages = proof.page.split("\n\narn:")
    assert (len(pages), proof.found) == (4, True)
    for text in (
        '"MUTABLE"',
        f"as requestID call-of-{DAYS[3]}",
        "INCOMPLIANT under",
        "condition 199: ",
        "step 7, roll-up: ok",
        again.payload_sha256,
    ):
        assert text in pages[3], text
    assert "NOT PROVED" not in proof.page


@pytest.mark.parametrize(
    ("wanted", "step"),
    [
        ("lake/repositories/snapshot_date=2026-11-02", 3),
        ("lake/policy_output/snapshot_date=2026-11-02", 3),
        ("lake/policy_output/snapshot_date=2026-11-01", 3),
        ("lake/waivers/snapshot_date=2026-11-02", 3),
        ("sql/macros.sql", 3),
        ("repository-image-tag-mutability/logic.sql", 3),
    ],
)
@pytest.mark.usefixtures("no_process")
def test_one_byte_of_a_file(sealed: SealedLake, log: EvidenceLog, wanted: str, step: int) -> None:
    entry = log.read(name_of(log, TAMPERED))
    statement = json.loads(entry.payload)
    found = subject(statement, wanted)
    flip(Path(log.root, "files", found["digest"]["sha256"]))
    assert found["name"] in failed_steps(verified(sealed, log))[step]


@pytest.mark.usefixtures("no_process")
def test_one_byte_of_an_entry(sealed: SealedLake, log: EvidenceLog) -> None:
    """In the signature; in the id of its key; and in the structure around both."""
    path = path_of(log, name_of(log, TAMPERED))
    content = path.read_bytes()
    position = content.index(b'"sig": "') + 20
    flip(path, position)
    assert "changed after signing" in failed_steps(verified(sealed, log))[1]
    path.write_bytes(content.replace(b'"sig": "', b'"sig": "not in base64 ', 1))
    assert "changed after signing" in failed_steps(verified(sealed, log))[1]
    # It would be a folder of a bundle, and part of a command in its README.
    path.write_bytes(content.replace(b'"keyid": "', b'"keyid": "../../$(id)', 1))
    [night] = verified(sealed, log).nights
    assert "not an entry of the log" in night.steps[0].found
    path.write_bytes(content)
    flip(path, 1)
    [night] = verified(sealed, log).nights
    assert "not an entry of the log" in night.steps[0].found
    assert outcomes(night) == ["FAILED", *["not run"] * 6]


@pytest.mark.usefixtures("no_process")
def test_a_figure_of_an_entry(sealed: SealedLake, log: EvidenceLog) -> None:
    def change(statement: dict[str, Any]) -> None:
        statement["predicate"]["coverage"]["COLLECTED"] = 99

    rewrite(log, TAMPERED, change, None)
    assert "changed after signing" in failed_steps(verified(sealed, log))[1]
    rewrite(log, TAMPERED, change, sealed.signer)
    assert "coverage: the entry has {'COLLECTED': 99}" in failed_steps(verified(sealed, log))[4]


@pytest.mark.usefixtures("no_process")
def test_two_nights_swapped(sealed: SealedLake, log: EvidenceLog) -> None:
    first, second = (path_of(log, name_of(log, sequence)) for sequence in (1, 2))
    aside = first.with_suffix(".aside")
    first.rename(aside)
    second.rename(first)
    aside.rename(second)
    outcome = verified(sealed, log)
    assert outcome.failed
    assert "holds the entry 00000001" in outcome.nights[0].steps[0].found
    assert any("holds the entry 00000002" in fault for fault in outcome.faults)


def test_one_night_dropped_or_there_twice(
    sealed: SealedLake, log: EvidenceLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others verify as before: their verdicts follow."""
    monkeypatch.setattr("ecr_audit.evidence.verification.rederive", lambda *_: Rederived())
    path = path_of(log, name_of(log, 1))
    content = path.read_bytes()
    path.unlink()
    assert "entry 1 is missing before this one" in failed_steps(verified(sealed, log))[2]
    path.write_bytes(content)
    path_of(log, name_of(log, 3)).unlink()
    outcome = verify(log, Keys([sealed.signer.public], is_trusted=True), DAYS[3], DAYS[3])
    assert "entry 3 is missing before this one" in failed_steps(outcome)[2]
    path.with_name(path.name.replace(str(DAYS[0]), str(DAYS[4]))).write_bytes(content)
    (path.parent / "notes.txt").write_text("x")
    faults = verified(sealed, log).faults
    for fault in ("entry 1 is there twice", "holds the entry 00000001", "notes.txt: not a name"):
        assert any(fault in each for each in faults), fault


def edit_a_verdict(log: EvidenceLog, folder: Path) -> Callable[[dict[str, Any]], None]:
    """Turn a finding into COMPLIANT, in the file; returns the change that gives the entry its hash."""
    entry = log.read(name_of(log, TAMPERED))
    verdicts = f"{LAKE}policy_output/snapshot_date={DAYS[1]}"
    found = subject(json.loads(entry.payload), verdicts)
    edited = folder / "edited.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * REPLACE (CASE WHEN object_id LIKE '%legacy' THEN 'COMPLIANT' ELSE status END AS status)"
            f" FROM read_parquet('{log.root}/files/{found['digest']['sha256']}')) TO '{edited}' (FORMAT parquet)"
        )
    changed = replace_file(log, edited.read_bytes())
    return lambda statement: set_hash(statement, found["name"], changed)


@pytest.mark.slow
def test_a_verdict_edited_and_its_hash_too(sealed: SealedLake, log: EvidenceLog, tmp_path: Path) -> None:
    """Then signed by another key, then by the stolen one, then chained again: what is left then is the head."""
    change = edit_a_verdict(log, tmp_path)
    rewrite(log, TAMPERED, change, None)
    found = failed_steps(verified(sealed, log))
    assert "changed after signing" in found[1]
    rewrite(log, TAMPERED, change, open_signer(str(key_file(tmp_path / "other.pem"))))
    assert "none of the keys" in failed_steps(verified(sealed, log))[1]
    rewrite(log, TAMPERED, change, sealed.signer)
    outcome = verified(sealed, log)
    # The verdict does not follow from what was read; and the entry after it names the hash that it had.
    assert "1 sealed rows do not follow" in failed_steps(outcome)[6]
    assert any("as the hash of the entry before it" in fault for fault in outcome.faults)
    rechain(log, (3, 4), sealed.signer)

    def supersede(statement: dict[str, Any]) -> None:
        statement["predicate"]["supersedes"]["payload_sha256"] = log.read(name_of(log, 3)).payload_sha256

    rewrite(log, 4, supersede, sealed.signer)
    others = verify(log, Keys([sealed.signer.public], is_trusted=True), DAYS[0], DAYS[0])
    assert others.faults == []
    noted = sealed.evidence.index()[-1].payload_sha256
    assert others.head != noted


@pytest.mark.usefixtures("no_process")
def test_an_unsigned_log_and_a_key_beside_it_are_noted(
    sealed: SealedLake, log: EvidenceLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecr_audit.evidence.verification.restore", lambda *_: (None, ["stop here"]))
    monkeypatch.setattr("ecr_audit.evidence.verification._verify_contents", lambda *_, **__: None)
    beside = verify(log, Keys(log.public_keys(), is_trusted=False), DAYS[1], DAYS[1])
    assert beside.nights[0].steps[0].outcome is Outcome.NOTE
    assert "compare it with yours" in beside.nights[0].steps[0].found
    for sequence in range(1, 5):
        path = path_of(log, name_of(log, sequence))
        path.write_text(json.dumps(json.loads(path.read_text()) | {"signatures": []}))
    unsigned = verify(log, Keys([], is_trusted=False), DAYS[1], DAYS[1])
    assert (unsigned.signed, unsigned.nights[0].steps[0].outcome) == (0, Outcome.NOTE)
    assert "unsigned, and a key was given" in failed_steps(verified(sealed, log))[1]


def test_there_is_nothing_to_verify(sealed: SealedLake, tmp_path: Path) -> None:
    keys = Keys([], is_trusted=False)
    with pytest.raises(VerificationError, match="no night was sealed yet"):
        verify(EvidenceLog(str(tmp_path)), keys)
    with pytest.raises(VerificationError, match="the log is of 2026-11-01 to 2026-11-04"):
        verify(sealed.evidence, keys, DAYS[4], DAYS[4])
