"""The SQL of README.md and docs/, run as it stands: questions on the published file, grants on PostgreSQL."""

from __future__ import annotations

import re
from pathlib import Path

import adbc_driver_postgresql.dbapi as postgresql
import duckdb
import pytest

from ecr_audit.dictionary import load_dictionary
from ecr_audit.postgres import publish_to_postgres
from ecr_audit.publish import TABLES

ROOT = Path(__file__).parents[2]
BLOCKS = [
    (path.name, block)
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for block in re.findall(r"^```sql\n(.*?)^```|^ {4}(SELECT [^\n]*;)$", path.read_text("utf-8"), re.M | re.S)
    for block in block
    if block
]
GRANTS = [(name, block) for name, block in BLOCKS if "GRANT" in block]
QUESTIONS = [each for each in BLOCKS if each not in GRANTS]


def test_there_are_some() -> None:
    assert QUESTIONS and GRANTS


@pytest.mark.parametrize(("document", "sql"), QUESTIONS, ids=[name for name, _ in QUESTIONS])
def test_a_question_is_answered(demo: Path, document: str, sql: str) -> None:
    with duckdb.connect(demo / "publish" / "compliance.duckdb", read_only=True) as published:
        assert published.execute(sql).fetchall()


@pytest.mark.parametrize(("document", "sql"), GRANTS, ids=[name for name, _ in GRANTS])
def test_who_is_granted_to_read_reads(demo: Path, postgres: str, document: str, sql: str) -> None:
    """Also what is published after the grants; and writes nothing."""
    database, dictionary = demo / "publish" / "compliance.duckdb", load_dictionary(TABLES)
    publish_to_postgres(database, postgres, "ecr_audit", dictionary)
    with postgresql.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE alice")
        for statement in re.sub(r"--.*", "", sql).split(";"):
            if statement.strip():
                cursor.execute(statement)
        cursor.execute("DROP TABLE ecr_audit.findings")
        connection.commit()
    publish_to_postgres(database, postgres, "ecr_audit", dictionary)
    with postgresql.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.execute("SET ROLE alice")
        for table in ("findings", "coverage"):
            cursor.execute(f"SELECT count(*) FROM ecr_audit.{table}")
            assert cursor.fetchone()[0]
        with pytest.raises(postgresql.Error, match="permission denied"):
            cursor.execute("DELETE FROM ecr_audit.findings")
        connection.rollback()
