"""The file of waivers: its faults are reported together, by line and field; an invalid file publishes nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ecr_audit.catalog import Catalog
from ecr_audit.catalog.waivers import SCHEMA, WaiverError, load_waivers
from ecr_audit.compliance import known_waivers, steps
from ecr_audit.settings import Settings
from ecr_audit.text import plural
from ecr_audit.yaml_files import located_yaml
from support.lakes import committed
from support.paths import ROOT
from support.small_lake import SmallLake

POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"

WAIVER = f"""\
  - id: W-1
    policy: {POLICY}
    scope:
      repository: arn:aws:ecr:*:111111111111:repository/legacy/*
      account: "111111111111"
      ou: Root/Prod
      region: eu-west-1
      tag: {{key: stage, value: sandbox}}
    reason: The pipeline that pushes latest is retired in March.
    owner: payments
    ticket: RISK-1
    approved_by: CISO
    created: 2026-01-10
    expires: 2026-04-01
"""
SCOPE = WAIVER[WAIVER.index("    scope") : WAIVER.index("    reason")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "accepted.yaml"
    path.write_text(f"waivers:\n{WAIVER}")
    return path


def faults(path: Path, catalog: Catalog) -> list[str]:
    with pytest.raises(WaiverError) as caught:
        load_waivers(str(path), catalog, 365)
    title, *found = str(caught.value).splitlines()
    assert title == f"ECR_AUDIT_WAIVERS: '{path}' has {plural(len(found), 'fault')}:"
    return found


def test_the_example_of_the_documents_has_every_key_and_is_read(path: Path, catalog: Catalog) -> None:
    [example] = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs/concepts.md").read_text("utf-8"), flags=re.M | re.S)
    path.write_text(example)
    [waiver] = load_waivers(str(path), catalog, 365).to_pylist()
    assert waiver["waiver_id"] == "W-2026-014"
    assert {key for key, value in waiver.items() if value is None} == {"ou_id"}, "the unit is given by its path"


def test_a_waiver_is_read(path: Path, catalog: Catalog) -> None:
    assert load_waivers(str(path), catalog, 365).to_pylist() == [
        {
            "waiver_id": "W-1",
            "policy_id": POLICY,
            "repository": "arn:aws:ecr:*:111111111111:repository/legacy/*",
            "account_id": "111111111111",
            "ou_path": "Root/Prod",
            "ou_id": None,
            "region": "eu-west-1",
            "tag_key": "stage",
            "tag_value": "sandbox",
            "reason": "The pipeline that pushes latest is retired in March.",
            "owner": "payments",
            "ticket": "RISK-1",
            "approved_by": "CISO",
            "created": date(2026, 1, 10),
            "expires": date(2026, 4, 1),
        }
    ]


def test_without_a_file_there_are_no_waivers(catalog: Catalog) -> None:
    assert load_waivers(None, catalog, 365).num_rows == 0


def test_one_part_of_a_scope_is_enough_and_dates_may_be_quoted(path: Path, catalog: Catalog) -> None:
    text = WAIVER.replace(SCOPE, "    scope: {region: eu-west-1}\n").replace("2026-04-01", "'2026-04-01'")
    path.write_text(f"waivers:\n{text}")
    [row] = load_waivers(str(path), catalog, 365).to_pylist()
    assert (row["region"], row["repository"], row["tag_key"]) == ("eu-west-1", None, None)
    assert row["expires"] == date(2026, 4, 1)


@pytest.mark.parametrize(
    ("ou", "ou_path", "ou_id"),
    [
        ("Root/CI%2FCD", "Root/CI%2FCD", None),
        ("ou-abcd-12345678", None, "ou-abcd-12345678"),
        ("r-abcd", None, "r-abcd"),
        ("ou-prod", "ou-prod", None),
    ],
)
def test_a_unit_is_named_by_its_path_or_its_id(
    path: Path, catalog: Catalog, ou: str, ou_path: str | None, ou_id: str | None
) -> None:
    path.write_text(path.read_text().replace("Root/Prod", ou))
    [row] = load_waivers(str(path), catalog, 365).to_pylist()
    assert (row["ou_path"], row["ou_id"]) == (ou_path, ou_id)


@pytest.mark.parametrize(
    ("old", "new", "reported"),
    [
        ("    owner: payments\n", "", "2: Key 'owner' is missing"),
        ("    expires: 2026-04-01\n", "", "2: Key 'expires' is missing"),
        ("ticket:", "tiket:", "12: Unknown key 'tiket'. Nearest: ticket"),
        ("region:", "regoin:", "8: Unknown key 'regoin'. Nearest: region"),
        (f"policy: {POLICY}", "policy: /ce/nothing", "3: waivers.0.policy: Unknown policy '/ce/nothing'."),
        (
            SCOPE,
            "    scope: {}\n",
            "4: waivers.0.scope: Is empty, which would waive everything. Give one of repository",
        ),
        (
            '"111111111111"',
            "12345670123",
            "6: waivers.0.scope.account: '12345670123' is not valid. '12345670123' is not an account id of 12 digits;"
            " did you mean 012345670123?",
        ),
        ('"111111111111"', "~", "6: waivers.0.scope.account: Is empty. Leave it out, or put the text in quotation"),
        ("owner: payments", "owner:", "11: waivers.0.owner: has no value. Give one"),
        ("owner: payments", "owner: null", "11: waivers.0.owner: has no value. Give one, in quotation marks if it is"),
        (
            "owner: payments",
            "owner: !!int payments",
            "11: waivers.0.owner: The tag !!int is not allowed",
        ),
        ("created: 2026-01-10", "created: !!timestamp soon", "14: waivers.0.created: The tag !!timestamp is not"),
        ("{key: stage, value: sandbox}", "&tag {key: stage, value: *tag}", "9: The alias *tag is not allowed"),
        ("owner: payments", "<<: *all", "11: The alias *all is not allowed: write its value"),
        ("sandbox}", f"{'[' * 1000}", "9: Nested deeper than 20 levels"),
        ("owner: payments", "owner: pay\x07ments", "11: Not valid YAML: special characters are not allowed"),
        ("eu-west-1", "Europe", "8: waivers.0.scope.region: 'Europe' is not valid."),
        ("legacy/*", "legacy/[ab]", "5: waivers.0.scope.repository: 'arn:aws"),
        ("Root/Prod", "/Root/Prod/", "7: waivers.0.scope.ou: '/Root/Prod/' is not valid."),
        ("created: 2026-01-10", "created: 1767225600", "14: waivers.0.created: '1767225600' is not valid."),
        ("created: 2026-01-10", "created: 10.01.2026", "14: waivers.0.created: '10.01.2026' is not valid."),
        ("expires: 2026-04-01", "expires: 2026-02-30", "15: waivers.0.expires: '2026-02-30' is not valid."),
        ("expires: 2026-04-01", "expires: 2026-04-01 12:00:00", "15: waivers.0.expires: '2026-04-01 12"),
        ("2026-04-01", "2026-01-10", "15: waivers.0.expires: 2026-01-10 is not after created, 2026-01-10"),
        (
            "2026-04-01",
            "2027-01-11",
            "15: waivers.0.expires: 2027-01-11 is 366 days after created, 2026-01-10; ECR_AUD",
        ),
    ],
)
def test_a_fault_is_reported_by_line_and_field(path: Path, catalog: Catalog, old: str, new: str, reported: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    assert any(fault.startswith(f"accepted.yaml:{reported}") for fault in faults(path, catalog)), faults(path, catalog)


def test_all_faults_are_reported_together_and_an_id_is_used_once(path: Path, catalog: Catalog) -> None:
    path.write_text(f"waivers:\n{WAIVER}{WAIVER.replace(POLICY, '/ce/nothing')}")
    assert [fault.partition(". ")[0] for fault in faults(path, catalog)] == [
        "accepted.yaml:16: waivers.1.id: 'W-1' is already used at accepted.yaml:2",
        "accepted.yaml:17: waivers.1.policy: Unknown policy '/ce/nothing'",
    ]


@pytest.mark.parametrize(
    ("old", "new", "column", "value"),
    [
        # As YAML 1.1 reads it, the first is 1,402,433,619: a number to the base of eight.
        ('"111111111111"', "012345670123", "account_id", "012345670123"),
        ('"111111111111"', "1111-2222-3333", "account_id", "111122223333"),
        ("eu-west-1", "EU-WEST-1", "region", "eu-west-1"),
        ("RISK-1", "0042", "ticket", "0042"),
        ("created: 2026-01-10", "created: 20260110", "created", date(2026, 1, 10)),
        *(
            ("value: sandbox", f"value: {text}", "tag_value", text.strip("'"))
            for text in (
                "no",
                "on",
                "1_000",
                "1e3",
                "12:30",
                "0x1f",
                "1.10",
                ".inf",
                "2026-01-31",
                "=",
                "'~'",
                "'null'",
            )
        ),
    ],
)
def test_text_stays_as_it_is_written(
    path: Path, catalog: Catalog, old: str, new: str, column: str, value: object
) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    [row] = load_waivers(str(path), catalog, 365).to_pylist()
    assert row[column] == value


# 454 bytes that stand for 10 to the power of 10 words.
BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (BOMB, "2: The alias *a0 is not allowed: write its value"),
        ("waivers: &all\n  - *all\n", "2: The alias *all is not allowed: write its value"),
        ("{" * 100_000, "1: Nested deeper than 20 levels"),
        ("- " * 100_000, "1: Nested deeper than 20 levels"),
        ("# much\n" * 400_000, "1: The file has more than 2,097,152 bytes"),
        ("- a\n" * 2_000, "1000: The file has more than 1,000 values"),
        ("? [a, b]\n: c\n", "1: A key is not text"),
    ],
    ids=("bomb", "recursion", "braces", "lists", "size", "values", "key"),
)
def test_a_hostile_file_is_refused_at_once(
    path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch, text: str, fault: str
) -> None:
    monkeypatch.setattr(located_yaml, "MAX_NODES", 1_000)
    path.write_text(text)
    assert f"accepted.yaml:{fault}" in faults(path, catalog)


def test_very_many_faults_and_a_long_value_are_cut(path: Path, catalog: Catalog) -> None:
    path.write_text("waivers: []\n" + "".join(f"key{number}:\n" for number in range(150)))
    with pytest.raises(WaiverError) as caught:
        load_waivers(str(path), catalog, 365)
    title, *found = str(caught.value).splitlines()
    assert (title.endswith("has 150 faults:"), len(found), found[-1]) == (True, 101, "and 50 more")
    path.write_text(f"waivers: {'x' * 100_000}\n")
    assert len(faults(path, catalog)[0]) < 400


def test_a_file_in_another_encoding_is_named(path: Path, catalog: Catalog) -> None:
    path.write_bytes(b"# first\n# caf\xe9\n")
    assert faults(path, catalog) == ["accepted.yaml:2: Not UTF-8: invalid continuation byte"]
    path.write_text(f"\N{BYTE ORDER MARK}waivers:\n{WAIVER}", encoding="utf-8")
    assert load_waivers(str(path), catalog, 365).num_rows == 1


@pytest.mark.parametrize("text", ["", "waivers: }", "- W-1", "accepted: []"])
def test_an_invalid_file_of_waivers_is_reported(path: Path, catalog: Catalog, text: str) -> None:
    path.write_text(text)
    assert faults(path, catalog)


def test_a_file_that_is_not_there_is_reported(tmp_path: Path, catalog: Catalog) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for name in ("none.yaml", "pipe.yaml", "."):
        with pytest.raises(WaiverError, match=r"ECR_AUDIT_WAIVERS: '.*' cannot be read .* or s3://bucket/key"):
            load_waivers(str(tmp_path / name), catalog, 365)


def test_a_bad_file_ends_the_evaluation_before_anything_is_evaluated(
    small_lake: SmallLake, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = date(2026, 11, 1)
    small_lake.scan(day, repositories=[{}])
    path.write_text("waivers: 7")
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    monkeypatch.setenv("ECR_AUDIT_WAIVERS", str(path))
    evaluating: list[Callable[[], str]] = [
        lambda: steps.evaluate(day.isoformat(), []),
        lambda: steps.roll_up(day.isoformat()),
    ]
    for step in evaluating:
        with pytest.raises(WaiverError, match=r"accepted.yaml:1: waivers: '7' is not valid"):
            step()
    assert small_lake.lake.storage.files("_parts") == []
    assert small_lake.lake.read_commit("compliance", day) is None


def test_the_steps_take_the_waivers_of_the_setting(
    small_lake: SmallLake, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = date(2026, 2, 1)
    small_lake.scan(day, repositories=[{"repository_name": "legacy/app", "tags": {"stage": "sandbox"}}, {}])
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    monkeypatch.setenv("ECR_AUDIT_WAIVERS", str(path))
    steps.roll_up(steps.evaluate(day.isoformat(), []))
    findings = [row for row in small_lake.rows("findings", day) if row["policy_id"] == POLICY]
    assert {row["repository_name"]: row["waiver_id"] for row in findings} == {"legacy/app": "W-1", "app": None}


@pytest.fixture
def evaluated(
    small_lake: SmallLake, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[date], dict[str, Any]]:
    """Scans a night and evaluates it with the file as it is; returns the waiver of each finding."""
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    monkeypatch.setenv("ECR_AUDIT_WAIVERS", str(path))

    def night(day: date) -> dict[str, Any]:
        small_lake.scan(day, repositories=[{"repository_name": "legacy/app", "tags": {"stage": "sandbox"}}, {}])
        steps.roll_up(steps.evaluate(day.isoformat(), []))
        rows = [row for row in small_lake.rows("findings", day) if row["policy_id"] == POLICY]
        return {row["repository_name"]: row["waiver_id"] for row in rows}

    return night


@pytest.mark.slow
def test_waivers_that_cannot_be_read_stay_until_they_can(
    small_lake: SmallLake, path: Path, evaluated: Callable[[date], dict[str, Any]]
) -> None:
    """Also those that begin or end meanwhile: each night takes those of its day."""
    first, second, third, ended, back = (date(2026, *day) for day in ((2, 1), (2, 2), (2, 3), (4, 1), (4, 2)))
    waived, not_waived = {"legacy/app": "W-1", "app": None}, {"legacy/app": None, "app": None}
    assert evaluated(first) == waived
    read_at = committed(small_lake.lake, "compliance", first).details["waivers_read_at"]
    kept = path.rename(path.with_suffix(".lost"))
    for day in (second, third):
        assert evaluated(day) == waived
        details = committed(small_lake.lake, "compliance", day).details
        assert details["waivers_read_at"] == read_at
        assert f"'{path}' cannot be read" in details["waivers_error"]
        [unread] = small_lake.rows("unread_values", day)
        assert (unread["kind"], unread["repositories"]) == ("waivers", 1)
        assert unread["last_read_at"].isoformat() == read_at
    assert evaluated(ended) == not_waived
    kept.rename(path)
    path.write_text(path.read_text().replace("2026-04-01", "2026-05-01"))
    assert evaluated(back) == waived
    assert committed(small_lake.lake, "compliance", back).details["waivers_error"] is None
    assert small_lake.rows("unread_values", back) == []


@pytest.mark.slow
def test_a_night_that_is_evaluated_again_takes_the_newest_waivers_that_are_known(
    small_lake: SmallLake, path: Path, evaluated: Callable[[date], dict[str, Any]]
) -> None:
    first, second = date(2026, 2, 1), date(2026, 2, 2)
    text = path.read_text()
    path.write_text("waivers: []")
    evaluated(first)
    path.write_text(text)
    evaluated(second)
    path.unlink()
    steps.roll_up(steps.evaluate(first.isoformat(), []))
    for day in (first, second):
        assert {row["waiver_id"] for row in small_lake.rows("waived_findings", day)} == {"W-1"}, day


def test_a_file_that_never_was_read_is_not_one_without_waivers(
    small_lake: SmallLake, path: Path, evaluated: Callable[[date], dict[str, Any]]
) -> None:
    path.unlink()
    with pytest.raises(WaiverError, match="cannot be read"):
        evaluated(date(2026, 2, 1))
    small_lake.evaluate(date(2026, 2, 1))
    with pytest.raises(WaiverError, match="cannot be read"):
        evaluated(date(2026, 2, 2))


def test_waivers_of_an_older_lake_count_when_the_file_cannot_be_read(older: SmallLake, tmp_path: Path) -> None:
    settings = Settings(waivers=str(tmp_path / "none.yaml"))
    known = known_waivers(older.lake, older.catalog, settings)
    assert known.rows["waiver_id"].to_pylist() == ["W-1"]
    assert known.rows.schema.equals(SCHEMA)
    commit = committed(older.lake, "compliance", date(2026, 10, 31))
    # Before version 5 the commit did not note when they were read.
    is_noted = commit.schema_version >= 5
    assert known.read_at == (datetime(2026, 10, 31, 3, tzinfo=UTC) if is_noted else commit.committed_at)
