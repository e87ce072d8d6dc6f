"""The SQL of the documents, run as it stands: questions on the published file, grants on PostgreSQL."""

from __future__ import annotations

import re
from pathlib import Path

import adbc_driver_postgresql.dbapi as postgresql
import duckdb
import pytest

from ecr_audit.publish.dictionary import load_dictionary
from ecr_audit.publish.postgres import publish_to_postgres
from ecr_audit.publish.tables import TABLES, VIEWS
from support.paths import DOCUMENTS

BLOCKS = [
    (path.name, block)
    for path in DOCUMENTS
    for block in re.findall(r"^```sql\n(.*?)^```|^ {4}(SELECT [^\n]*;)$", path.read_text("utf-8"), re.M | re.S)
    for block in block
    if block
]
GRANTS = [(name, block) for name, block in BLOCKS if "GRANT" in block]
QUESTIONS = [each for each in BLOCKS if each not in GRANTS]


def test_there_are_some() -> None:
    assert QUESTIONS and GRANTS


@pytest.mark.parametrize(("document", "sql"), QUESTIONS, ids=[name for name, _ in QUESTIONS])
def test_a_question_is_answered(demo: Path, document: str, sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo / "publish")  # where the files are that a question may name
    with duckdb.connect(demo / "publish" / "compliance.duckdb", read_only=True) as published:
        rows = published.execute(sql).fetchall()
    # Whatever the demo has: it imports nothing into Security Hub.
    assert rows or "security_hub_imports" in sql


def run(uri: str, sql: str) -> None:
    with postgresql.connect(uri) as connection, connection.cursor() as cursor:
        for statement in sql.split(";"):
            if statement.strip():
                cursor.execute(statement)
        connection.commit()


@pytest.mark.parametrize("is_published_before", [False, True])
def test_the_three_steps_let_one_publish_and_others_read(demo: Path, postgres: str, is_published_before: bool) -> None:
    """Each by the role that the document names; also what is made later is read, and nobody else writes."""
    database, dictionary = demo / "publish" / "compliance.duckdb", load_dictionary(TABLES | VIEWS)
    publisher = postgres.replace("publisher@", "ecr_audit_publisher@")
    [(_, administrator_first), (_, as_publisher), (_, administrator_last)] = GRANTS
    roles = ("alice", "ecr_audit_reader", "ecr_audit_publisher")
    try:
        run(postgres, f"CREATE ROLE alice; {administrator_first}")
        if is_published_before:
            publish_to_postgres(database, publisher, "ecr_audit", dictionary)
        run(publisher, as_publisher)
        run(postgres, administrator_last)
        publish_to_postgres(database, publisher, "ecr_audit", dictionary)
        run(publisher, "DROP TABLE ecr_audit.findings")
        publish_to_postgres(database, publisher, "ecr_audit", dictionary)
        with postgresql.connect(postgres) as connection, connection.cursor() as cursor:
            cursor.execute("SET ROLE alice")
            for table in ("findings", "coverage"):
                cursor.execute(f"SELECT count(*) FROM ecr_audit.{table}")
                assert cursor.fetchone()[0]
            with pytest.raises(postgresql.Error, match="permission denied"):
                cursor.execute("DELETE FROM ecr_audit.findings")
            connection.rollback()
    finally:
        run(postgres, "DROP SCHEMA ecr_audit CASCADE; " + "".join(f"DROP OWNED BY {role};" for role in roles))
        run(postgres, "".join(f"DROP ROLE {role};" for role in roles))
