"""SQL out of a log is code of whoever could write it: it is stopped, and named.

Here somebody has the key: all is signed, so that only what the text itself wants to do is in the way.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ecr_audit.catalog.texts import read_texts, texts_hash
from ecr_audit.evidence import rederivation
from ecr_audit.evidence.contents import restore
from ecr_audit.evidence.rederivation import Rederived, rederive, rederive_here
from support.evidence import DAYS, SealedLake, name_of

LOGIC = "policies/ecr/repository-image-tag-mutability/logic.sql"
ANSWERS = (
    "SELECT repository_arn AS object_id, owner, 299 AS condition_index, 'COMPLIANT' AS status, {message} AS"
    " current_state_message, NULL::VARCHAR AS remediation_message, NULL::VARCHAR AS remediation_command"
    " FROM staging.repositories"
)


@pytest.fixture
def night(sealed: SealedLake, tmp_path: Path) -> Path:
    """The restored folder of a night."""
    restored, faults = restore(sealed.evidence, sealed.evidence.read(name_of(sealed.evidence, 2)), tmp_path / "night")
    assert faults == []
    return restored.folder


def again(night: Path) -> Rederived:
    return rederive_here(str(night), str(DAYS[1]), 60)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        (LOGIC, "COPY (SELECT 1) TO '{out}'", "holds COPY"),
        (LOGIC, "SELECT 1; COPY (SELECT 1) TO '{out}'", "holds COPY"),
        (LOGIC, "INSTALL httpfs", "holds LOAD"),
        (LOGIC, "FROM read_text('/etc/passwd')", "calls read_text"),
        ("marts/coverage.sql", "FROM read_csv('/etc/passwd')", "calls read_csv"),
        ("checks/status_is_known.sql", "FROM read_parquet('https://example.com/x.parquet')", "calls read_parquet"),
        ("staging/young.sql", "FROM enable_logging(storage_path = '{out}')", "calls enable_logging"),
        ("macros.sql", "ATTACH '{out}'", "holds ATTACH"),
        ("macros.sql", "CREATE TABLE x AS FROM read_text('/etc/passwd')", "creates something else than a macro"),
        (LOGIC, "SELEC 1", "Parser Error"),
    ],
)
def test_foreign_statements_and_functions_are_not_run(
    night: Path, tmp_path: Path, name: str, text: str, why: str
) -> None:
    (night / "sql" / name).write_text(text.replace("{out}", str(tmp_path / "out")), "utf-8")
    [fault] = again(night).verdict_faults
    assert f"sql/{name}" in fault
    assert why in fault
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (LOGIC, ANSWERS.format(message="(SELECT content FROM '/etc/passwd.csv')")),
        ("macros.sql", "CREATE MACRO stolen() AS (SELECT any_value(content) FROM read_text('/etc/passwd'));\n"),
    ],
)
def test_the_session_reads_no_other_file(night: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    """Even if it is not recognized before it runs."""
    monkeypatch.setattr(rederivation, "harmful", lambda _: ())
    path = night / "sql" / name
    path.write_text((text + path.read_text("utf-8")) if name == "macros.sql" else text, "utf-8")
    with pytest.raises(Exception, match=r"Permission Error|file system operations are disabled|does not exist"):
        again(night)


@pytest.mark.slow
def test_a_loop_is_stopped_after_its_time(night: Path) -> None:
    loop = "(WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT max(i)::VARCHAR FROM n)"
    (night / "sql" / LOGIC).write_text(ANSWERS.format(message=loop), "utf-8")
    assert rederive(night, DAYS[1], seconds=8).verdict_faults == ["stopped after 8 seconds"]


def test_the_hash_over_all_texts_is_that_of_sha256sum(night: Path) -> None:
    """Any text that verdicts rest on changes it; a page's query does not."""
    sql = night / "sql"
    before = texts_hash(read_texts(sql))
    (sql / "pages").mkdir()
    (sql / "pages" / "x.sql").write_text("SELECT 1", "utf-8")
    assert texts_hash(read_texts(sql)) == before
    for name in ("macros.sql", "staging/young.sql", "marts/policy_output.sql", LOGIC):
        (sql / name).write_text("SELECT 2", "utf-8")
        assert texts_hash(read_texts(sql)) != before
        before = texts_hash(read_texts(sql))
