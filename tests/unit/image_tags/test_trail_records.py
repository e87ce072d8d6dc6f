"""Records of CloudTrail's log files: read one at a time, whatever the file holds."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from demo.emulated_aws.trail import Caller, Place, delete_image, log_file, put_image, put_mutability
from ecr_audit.image_tags.trail_records import Wanted, read_event, read_records, without_addresses

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
APP = Place("111111111111", "eu-west-1", "app")
KEY = (APP.account_id, APP.region, APP.repository_name)
DIGEST = f"sha256:{'a' * 64}"
WANTED = Wanted({KEY: {"1.0.0": DIGEST}}, {KEY: {"1.0.0"}})


def read(content: bytes) -> list[Any]:
    return list(read_records(io.BytesIO(content)))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_records_come_one_by_one_in_their_order(count: int) -> None:
    records = [{"number": number, "text": 'ä "]}, {' * number} for number in range(count)]
    assert read(log_file(records)) == records
    assert read(gzip.compress(json.dumps({"Records": records}, indent=4).encode())) == records
    # A gzip file may have members, and a record may be longer than what is decompressed at a time.
    long = [{"text": "é" * 400_000}, *records]
    content = json.dumps({"Records": long}, ensure_ascii=False).encode()
    assert read(gzip.compress(content[:300_001]) + gzip.compress(content[300_001:])) == long


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "truncated"),
        (b'{"Records": []}', "not a gzip file"),
        (log_file([put_image(APP, AT, "1.0.0", DIGEST)])[:-20], "truncated"),
        (gzip.compress(b""), "truncated"),
        (gzip.compress(b'{"Logs": []}'), "does not begin with Records"),
        (gzip.compress(b'{"Records": [{"eventTime": 1'), "truncated"),
        (gzip.compress(b'{"Records": [{}, nonsense]}' + b" " * (10 << 20)), "invalid or too long"),
        (gzip.compress(b'{"Records": ' + b"[" * 100_000), "nested too deeply"),
        (gzip.compress(b'{"Records": ["\xff"]}'), "utf-8"),
    ],
    # Not the bytes, which hold the time.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_content_than_a_log_file_is_a_fault(content: bytes, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read(content)


def test_a_push_has_its_actor() -> None:
    [row] = read_event(put_image(APP, AT, "1.0.0", DIGEST), WANTED)
    assert (
        row
        | {
            "tag": "1.0.0",
            "digest": DIGEST,
            "event_time": AT,
            "actor": "arn:aws:sts::111111111111:assumed-role/ci/build-1",
            "source_address": "198.51.100.7",
            "user_agent": "docker/28.1.1 go/go1.23.8",
        }
        == row
    )


@pytest.mark.parametrize(
    ("identity", "actor"),
    [
        ({"type": "IAMUser", "arn": "arn:aws:iam::1:user/ops/mary"}, "arn:aws:iam::1:user/ops/mary"),
        ({"type": "AWSService", "invokedBy": "replication.ecr.amazonaws.com"}, "replication.ecr.amazonaws.com"),
        ({"type": "AWSAccount", "accountId": "222222222222", "principalId": "AIDA:jane@example.com"}, "222222222222"),
        ({"arn": "arn:aws:sts::1:assumed-role/a/x,y=j+z@e.com"}, "arn:aws:sts::1:assumed-role/a/(e-mail address)"),
        (None, None),
        ("nobody", None),
        ({"arn": 7}, None),
    ],
)  # fmt: skip
def test_whoever_calls_is_named_without_e_mail_address(identity: Any, actor: str | None) -> None:
    [row] = read_event(put_image(APP, AT, "1.0.0", DIGEST) | {"userIdentity": identity}, WANTED)
    assert row["actor"] == actor


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("jane@example.com", "(e-mail address)"),
        ("aws-cli/2 md/user#jane%40example.com lang/python", "aws-cli/2 md/(e-mail address) lang/python"),
        ("Contact <jane.doe+ci@mail.example.com>;", "Contact <(e-mail address)>;"),
        ("docker/28.1.1 (linux) @ 3", "docker/28.1.1 (linux) @ 3"),
    ],
)
def test_e_mail_addresses_are_replaced(text: str, shown: str) -> None:
    assert without_addresses(text) == shown


def test_deletions_and_settings_are_read_where_the_setting_forbade_the_move() -> None:
    deleted = delete_image(APP, AT, "1.0.0", DIGEST)
    setting = put_mutability(APP, AT, "MUTABLE_WITH_EXCLUSION", ["2.*"], Caller(session="opens"))
    [of_deletion], [of_setting] = read_event(deleted, WANTED), read_event(setting, WANTED)
    assert (of_deletion["tag"], of_deletion["event_name"]) == ("1.0.0", "BatchDeleteImage")
    assert (of_setting["tag"], of_setting["setting"]) == (None, "MUTABLE_WITH_EXCLUSION")
    assert of_setting["exclusion_filters"] == ["2.*"]
    allowed = Wanted(WANTED.pushes, {})
    assert [*read_event(deleted, allowed), *read_event(setting, allowed)] == []


@pytest.mark.parametrize(
    "damage",
    [
        {"eventName": []}, {"requestParameters": None}, {"requestParameters": {"repositoryName": ["app"]}},
        {"responseElements": None}, {"awsRegion": 5}, {"recipientAccountId": {}, "requestParameters": {}},
    ],
)  # fmt: skip
def test_a_record_without_the_values_of_a_match_is_left_out(damage: dict[str, Any]) -> None:
    assert list(read_event(put_image(APP, AT, "1.0.0", DIGEST) | damage, WANTED)) == []
    assert list(read_event(7, WANTED)) == []


def test_a_match_without_a_time_is_a_fault() -> None:
    with pytest.raises(ValueError, match="'noon' is not a time"):
        list(read_event(put_image(APP, AT, "1.0.0", DIGEST) | {"eventTime": "noon"}, WANTED))
