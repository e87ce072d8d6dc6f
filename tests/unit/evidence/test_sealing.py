"""Sealing: which nights are sealed, which cannot be and why, and how a publication shows it."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import duckdb
import pytest

from ecr_audit.alerts.night import night_messages
from ecr_audit.doctor.evidence import check_evidence, check_lake_files
from ecr_audit.doctor.results import Status
from ecr_audit.evidence.log import EvidenceError, EvidenceLog
from ecr_audit.evidence.results import Outcome
from ecr_audit.evidence.seal import seal
from ecr_audit.evidence.steps import EvidenceBrokenError, verify_log
from ecr_audit.evidence.verification import Keys, verify
from ecr_audit.lake.schemas import REPOSITORIES
from ecr_audit.publish import sealing
from ecr_audit.publish.build import publish
from ecr_audit.publish.sealing import seal_nights
from ecr_audit.settings import Settings
from support.evidence import DAYS, SealedLake, flip, name_of
from support.lakes import committed
from support.policies import MUTABILITY, RELEASE_TAG_MOVED


@pytest.fixture
def lake(tmp_path: Path) -> SealedLake:
    """Two nights that are not sealed yet."""
    made = SealedLake.at(tmp_path / "made")
    for day in DAYS[:2]:
        made.nights.night(day, repositories=[{}, {"repository_name": "b", "image_tag_mutability": "IMMUTABLE"}])
    return made


def settings_of(lake: SealedLake, monkeypatch: pytest.MonkeyPatch, **others: str) -> Settings:
    monkeypatch.setattr(sealing, "SQL_ROOT", lake.sql)
    given = {
        "data": str(lake.folder),
        "lake": lake.nights.lake.root,
        "evidence": lake.evidence.root,
        "evidence_key": str(lake.folder / "key.pem"),
    } | others
    for name, value in given.items():
        monkeypatch.setenv(f"ECR_AUDIT_{name.upper()}", value)
    return Settings(**given)  # type: ignore[arg-type]


def test_each_commit_is_sealed_once(lake: SealedLake) -> None:
    assert [(entry.night.date, entry.night.sequence) for entry in lake.seal().added] == [(DAYS[0], 1), (DAYS[1], 2)]
    assert lake.seal().added == []
    before = sorted(Path(lake.evidence.root, "files").iterdir())
    # The same verdicts at another time: another commit.
    lake.nights.evaluate(DAYS[1])
    [entry] = lake.seal().added
    assert entry.night.supersedes is not None
    assert (entry.night.sequence, entry.night.supersedes.sequence) == (3, 2)
    # Parquet of the same rows is the same file, and kept once.
    assert set(before) <= set(Path(lake.evidence.root, "files").iterdir())


def test_the_reason_why_a_night_is_not_sealed(lake: SealedLake) -> None:
    lake.seal()
    lake.nights.evaluate(DAYS[1])
    macros = lake.sql / "macros.sql"
    text = macros.read_text("utf-8")
    macros.write_text(f"{text}\n-- changed\n", "utf-8")
    assert "sql/ has changed since it was evaluated" in lake.seal().unsealed[DAYS[1]]
    macros.write_text(text, "utf-8")
    commit = committed(lake.nights.lake, "inventory", DAYS[1])
    [path] = lake.nights.lake.locations(commit, REPOSITORIES)
    shutil.copyfile(path, f"{path}.kept")
    flip(Path(path))
    # The log has it already, so that nothing is copied into it; another one copies.
    fresh = EvidenceLog(str(lake.folder / "fresh"))
    assert "was changed since it was committed" in seal(lake.nights.lake, fresh, None, lake.sql).unsealed[DAYS[1]]
    shutil.move(f"{path}.kept", path)
    lake.nights.scan(DAYS[1], repositories=[{}])
    assert "scanned again after the evaluation" in lake.seal().unsealed[DAYS[1]]


def test_a_log_that_is_not_in_order_gets_no_entry(lake: SealedLake) -> None:
    lake.seal()
    lake.nights.night(DAYS[2], repositories=[{}])
    stranger = Path(lake.evidence.root, "log", "notes.txt")
    stranger.write_text("x", "utf-8")
    with pytest.raises(EvidenceError, match=r"'notes.txt' is not an entry's name"):
        lake.seal()
    stranger.unlink()
    flip(Path(lake.evidence.root, "log", name_of(lake.evidence, 2).file), 1)
    with pytest.raises(EvidenceError, match="not an entry of the log"):
        lake.seal()


@pytest.mark.usefixtures("database_alone")
def test_a_publication_shows_the_log_and_a_fault_costs_nothing_else(
    lake: SealedLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(lake, monkeypatch)

    def published(folder: str) -> tuple[dict[str, object], list[tuple[object, ...]]]:
        sealed = seal_nights(lake.nights.lake, settings)
        result = publish(lake.nights.lake, lake.nights.catalog, tmp_path / folder, owner_tags=(), sealed=sealed)
        with duckdb.connect(result.database, read_only=True) as database:
            found = database.execute("SELECT COLUMNS('evidence_.*') FROM publication").fetchone() or ()
            names = ("head", "error", "verified_at", "verification")
            nights = database.execute(
                "SELECT evidence_sequence, evidence_entries, evidence_sha256 FROM nights"
            ).fetchall()
        missing = dict(result.published.missing_exports)
        messages = night_messages(result.database, 0.95, "")
        assert all(any(str(found[0]) in line for line in message.lines) for message in messages) or found[0] is None
        return dict(zip(names, found, strict=True)) | {"missing": missing}, nights

    about, nights = published("first")
    head = lake.evidence.index()[-1].payload_sha256
    assert (about["head"], about["error"], about["missing"]) == (head, None, {})
    assert [(sequence, entries) for sequence, entries, _ in nights] == [(1, 1), (2, 1)]
    assert nights[-1][2] == head

    settings = settings_of(lake, monkeypatch, evidence_key=str(tmp_path / "none.pem"))
    lake.nights.night(DAYS[2], repositories=[{}])
    about, nights = published("second")
    assert about["head"] is None
    assert "none.pem': is not a private key" in str(about["error"])
    assert list(dict(about["missing"])) == ["evidence"]  # type: ignore[call-overload]


@pytest.mark.slow
def test_the_weekly_verification_keeps_its_result_and_fails_for_a_difference(
    lake: SealedLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(lake, monkeypatch)
    lake.seal()
    assert "1 entry verified, the chain is whole" in verify_log()
    assert seal_nights(lake.nights.lake, settings).verification is not None
    digest = next(
        subject.digest.sha256
        for subject in lake.evidence.read(name_of(lake.evidence, 2)).statement.subject
        if "policy_output/snapshot_date=2026-11-02" in subject.name
    )
    flip(Path(lake.evidence.root, "files", digest))
    with pytest.raises(EvidenceBrokenError, match=r"night of 2026-11-02, step 3, files: .*its bytes have the SHA-256"):
        verify_log()
    assert json.loads(Path(lake.evidence.root, "verification.json").read_text("utf-8"))["failed"]


def test_the_doctor(lake: SealedLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(lake, monkeypatch)
    lake.seal()
    found = check_evidence(settings)
    assert (found.status, "2 entries, the newest of 2026-11-02" in found.found) == (Status.OK, True)
    unsigned = settings.model_copy(update={"evidence_key": None})
    assert check_evidence(unsigned).status is Status.WARN
    other = settings.model_copy(update={"evidence_key": str(tmp_path / "none.pem")})
    assert check_evidence(other).status is Status.FAIL
    files = check_lake_files(settings)
    assert files is not None
    assert (files.status, "14 files as committed, the newest night's" in files.found) == (Status.OK, True)
    commit = committed(lake.nights.lake, "compliance", DAYS[1])
    flip(Path(lake.nights.lake.storage.absolute(commit.files["coverage"][0])))
    files = check_lake_files(settings)
    assert files is not None
    assert (files.status, list(files.cases)) == (Status.FAIL, [commit.files["coverage"][0]])


@pytest.mark.slow
def test_a_night_with_image_tags_follows_from_those_that_it_was_evaluated_with(tmp_path: Path) -> None:
    """Though the lake is gone; and a change to them is found."""
    made = SealedLake.at(tmp_path / "made", (MUTABILITY, RELEASE_TAG_MOVED))
    for day, digest in zip(DAYS[:2], ("a", "b"), strict=True):
        made.nights.scan(day, repositories=[{}], details={"image_tags": "all"})
        made.nights.read_tags(day, [{"tags": {"v1.0.0": f"sha256:{digest * 64}"}}])
        made.nights.evaluate(day)
    verdicts = made.nights.rows("policy_output", DAYS[1])
    assert {row["status"] for row in verdicts if row["policy_id"] == RELEASE_TAG_MOVED} == {"INCOMPLIANT"}
    made.seal()
    shutil.rmtree(made.nights.lake.root)
    keys = Keys([made.signer.public], is_trusted=True)
    outcome = verify(made.evidence, keys, *DAYS[:2])
    assert {step.outcome for night in outcome.nights for step in night.steps} == {Outcome.OK}
    entry = made.evidence.read(name_of(made.evidence, 2))
    assert entry.night.image_tags is not None
    [changed] = [each.digest.sha256 for each in entry.statement.subject if "image_tag_reads" in each.name]
    flip(Path(made.evidence.root, "files", changed))
    outcome = verify(made.evidence, keys, *DAYS[:2])
    [failed] = [step for night in outcome.nights for step in night.steps if step.outcome is Outcome.FAILED]
    assert (failed.step, "image_tag_reads/snapshot_date=2026-11-02" in failed.found) == (3, True)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["lake-v2", "lake-v3"])
def test_nights_of_lakes_of_older_versions(tmp_path: Path, version: str) -> None:
    """One that was scanned by that version and is evaluated now; and one that continues its verdicts."""
    made = SealedLake.at(tmp_path / "made")
    shutil.copytree(Path(__file__).parents[2] / "fixtures" / version, made.nights.lake.root)
    last, following = date(2026, 10, 31), date(2026, 11, 1)
    made.nights.scan(following, repositories=[{"repository_name": "web", "tags": {"owner": "web-team"}}])
    made.nights.evaluate(following)
    assert [entry.night.date for entry in made.seal().added] == [following]
    assert made.evidence.read(name_of(made.evidence, 1)).night.before_compliance is not None
    made.nights.evaluate(last)
    made.nights.evaluate(following)
    sealed = made.seal()
    assert ([entry.night.date for entry in sealed.added], sealed.unsealed) == ([last, following], {})
    outcome = verify(made.evidence, Keys([made.signer.public], is_trusted=True), last, following)
    assert {step.outcome for night in outcome.nights for step in night.steps} == {Outcome.OK}
    assert not outcome.failed
