"""Findings imported over HTTP: what an emulated Security Hub, and moto's, has then, and how each account ended."""

from __future__ import annotations

import json
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from demo.emulated_aws.faults import Effect, Fault, Refuse, Reset, Rewrite, Throttle
from demo.emulated_aws.world import Account, Region, World
from ecr_audit.aws.access import use_access
from ecr_audit.aws.dispatcher import Pacer
from ecr_audit.aws.security_hub import CALLS_PER_SECOND, PACE
from ecr_audit.aws.session import connect_hub
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import SECURITY_HUB_IMPORTS
from ecr_audit.publish.build import publish
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.store import newest
from ecr_audit.security_hub import steps
from ecr_audit.security_hub.due import Batch, Registry
from ecr_audit.security_hub.imports import Result, import_batches
from ecr_audit.security_hub.outcomes import ImportOutcome
from ecr_audit.settings import ExportSettings, Settings
from support.asff import smallest_finding
from support.exported_nights import CLOSED, DARK, FIRST, NAMELESS, SECOND, SHOP, rows_of, waivers
from support.policies import MUTABILITY
from support.small_lake import SmallLake

from .conftest import HUB, MakeAudit

REGION, ELSEWHERE, ROLE = "eu-west-1", "us-east-1", "ecr-audit-security-hub"
THIRD = SECOND + timedelta(days=1)
ACCOUNTS = [f"10000000000{number}" for number in range(1, 8)]
IMPORT = "BatchImportFindings"


def world(accounts: Sequence[str], **changed: dict[str, Any]) -> World:
    found = {each: Account(each, f"a-{each[-1]}", "r-demo") for each in (HUB, *accounts)}
    for account_id, changes in changed.items():
        found[account_id.removeprefix("a")] = replace(found[account_id.removeprefix("a")], **changes)
    return World(
        accounts=found,
        regions=[Region(REGION), Region(ELSEWHERE)],
        hub_account_id=HUB,
        management_account_id=HUB,
        security_hub_role_name=ROLE,
    )


def batches(registry: Registry, *counts: int) -> list[Batch]:
    """Calls with these numbers of findings."""
    made, number = [], 0
    for count in counts:
        found = [smallest_finding(*registry, number + each) for each in range(count)]
        made.append(Batch(registry, count, zlib.compress(json.dumps(found).encode())))
        number += count
    return made


def run(settings: Settings, *given: list[Batch], inactive: Sequence[str] = ()) -> dict[Registry, Result]:
    return import_batches(connect_hub(), [each for some in given for each in some], inactive, settings, ROLE, "run")


def test_each_account_and_region_ends_with_its_own_outcome(audit_of: MakeAudit) -> None:
    good, absent, closed, forbidden, throttled, broken, odd = ACCOUNTS
    refused = json.dumps(
        {"SuccessCount": 1, "FailedCount": 2, "FailedFindings": [{"Id": "x", "ErrorCode": "InvalidInput"}]}
    )
    effects: list[tuple[Effect, dict[str, Any]]] = [
        # As if an SCP denied it.
        (Refuse("AccessDeniedException", "explicit deny", 403), {"account": forbidden}),
        # HTTP status 429 is a throttle, whatever its code is.
        (Refuse("LimitExceededException", "too many", 429), {"account": throttled, "region": REGION}),
        (Reset(), {"account": broken, "region": REGION}),
        (Rewrite(lambda _: b'{"SuccessCount": 9}'), {"account": broken, "region": ELSEWHERE}),
        (Rewrite(lambda _: refused.encode()), {"account": odd, "region": REGION}),
    ]
    faults = [Fault(effect, operation=IMPORT, **where) for effect, where in effects]
    audit = audit_of(world(ACCOUNTS, **{f"a{absent}": {"importable": False}}), *faults)
    audit.aws.world.without_security_hub = frozenset({(good, ELSEWHERE)})
    settings = audit.settings.model_copy(update={"target_seconds": 0.5})
    registries = [(account, region) for account in ACCOUNTS for region in (REGION, ELSEWHERE)]
    registries.remove((throttled, ELSEWHERE))
    results = run(settings, *(batches(each, 2, 1) for each in registries), inactive=[closed])
    assert {key: (result.outcome.value, result.imported, result.refused) for key, result in results.items()} == {
        (good, REGION): ("IMPORTED", 3, 0),
        (good, ELSEWHERE): ("NOT_SUBSCRIBED", 0, 0),
        (absent, REGION): ("ASSUME_ROLE_DENIED", 0, 0),
        (absent, ELSEWHERE): ("ASSUME_ROLE_DENIED", 0, 0),
        (closed, REGION): ("ACCOUNT_INACTIVE", 0, 0),
        (closed, ELSEWHERE): ("ACCOUNT_INACTIVE", 0, 0),
        (forbidden, REGION): ("ACCESS_DENIED", 0, 0),
        (forbidden, ELSEWHERE): ("ACCESS_DENIED", 0, 0),
        (throttled, REGION): ("THROTTLED", 0, 0),
        (broken, REGION): ("FAILED", 0, 0),
        # More than were sent.
        (broken, ELSEWHERE): ("FAILED", 0, 0),
        # Of both calls one finding was imported, and of the first one more was refused, without a reason.
        (odd, REGION): ("REFUSED", 2, 1),
        (odd, ELSEWHERE): ("IMPORTED", 3, 0),
    }
    assert results[good, ELSEWHERE].error_message == f"Account {good} is not subscribed to AWS Security Hub"
    assert (results[odd, REGION].error_code, results[odd, REGION].findings) == ("InvalidInput", 3)
    # An error that ended one call of a region ends the region: no call follows.
    assert all(result.error_code for result in results.values() if result.ended_by and result.tried_at)
    taken = audit.aws.world.findings
    assert taken[good, REGION][f"{REGION}/{good}/ecr-audit/0"]["Title"] == "é"
    assert not [key for key in taken if key[0] in (absent, closed, forbidden, throttled)]


def test_throttled_calls_are_repeated(audit_of: MakeAudit) -> None:
    audit = audit_of(world(ACCOUNTS[:1]), Fault(Throttle(), operation=IMPORT, times=2))
    [result] = run(audit.settings, batches((ACCOUNTS[0], REGION), 100, 1)).values()
    assert (result.outcome, result.imported) == (ImportOutcome.IMPORTED, 101)
    assert [len(ids) for *_, ids in audit.aws.world.imports] == [100, 1]


def test_a_region_that_cannot_be_reached_in_time_is_an_outcome(audit_of: MakeAudit) -> None:
    audit = audit_of(world(ACCOUNTS[:1]), Fault(Throttle(), operation=IMPORT))
    settings = audit.settings.model_copy(update={"target_seconds": 60, "batch_seconds": 0.5})
    [result] = run(settings, batches((ACCOUNTS[0], REGION), 1)).values()
    assert (result.outcome, result.imported) == (ImportOutcome.NOT_REACHED, 0)


def test_calls_stay_below_the_limit_of_a_region() -> None:
    """Ten a second, of which a pacer lets five go at once and five more in that second."""
    pacer = Pacer(PACE)
    waits = [pacer.reserve() for _ in range(30)]
    in_any_second = [sum(0 <= each - first < 0.99 for each in waits) for first in waits]
    assert max(in_any_second) <= CALLS_PER_SECOND


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    # moto has one AWS a process: that of tests before.
    urllib.request.urlopen(f"{url}/moto-api/reset", data=b"").close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    use_access(None)
    yield url
    server.stop()


def test_moto_has_the_findings_in_the_account_and_region_that_they_are_of(moto: str) -> None:
    registries = [(account, region) for account in ACCOUNTS[:2] for region in (REGION, ELSEWHERE)]
    calls = [batches(each, 100, 100, number) for number, each in enumerate(registries, 1)]
    # Repeated, as after a run that was killed, it changes nothing.
    for _ in range(2):
        results = run(Settings(), *calls)
        assert {(result.outcome, result.imported - result.findings) for result in results.values()} == {
            (ImportOutcome.IMPORTED, 0)
        }
    for number, (account, region) in enumerate(registries, 1):
        request = {"RoleArn": f"arn:aws:iam::{account}:role/{ROLE}", "RoleSessionName": "test"}
        given = boto3.client("sts", REGION).assume_role(**request)["Credentials"]
        keys = {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
        pages = boto3.client("securityhub", region, **keys).get_paginator("get_findings").paginate()
        ids = [each["Id"] for page in pages for each in page["Findings"]]
        assert sorted(ids) == sorted(smallest_finding(account, region, each)["Id"] for each in range(200 + number))


class Nights:
    """Nights that are published, and imported from an emulated AWS's accounts."""

    def __init__(self, lake: SmallLake, settings: Settings, aws: Any) -> None:
        self.lake, self.settings, self.aws = lake, settings, aws

    def publish(self, day: date) -> None:
        self.lake.waivers = waivers()
        self.lake.night(day, **rows_of(day))
        none = ExportSettings(exports=())
        publish(self.lake.lake, self.lake.catalog, self.settings.data / "publish", owner_tags=(), options=none)

    def import_findings(self) -> tuple[str, list[str]]:
        """Returns the sentence, and the ids that were sent."""
        self.aws.world.imports.clear()
        sentence = steps.import_findings(connect_hub, "run")
        return str(sentence), sorted(each for *_, ids in self.aws.world.imports for each in ids)

    @property
    def outcomes(self) -> dict[str, dict[str, Any]]:
        """The rows of the newest commit by account: all are in one region."""
        lake = Lake(self.settings.lake_root)
        commit = lake.read_commit("security_hub", lake.snapshot_dates("security_hub")[-1])
        assert commit is not None
        return {row["account_id"]: row for row in lake.read_table(commit, SECURITY_HUB_IMPORTS).to_pylist()}

    def taken(self, account_id: str, name: str) -> dict[str, Any]:
        [found] = [
            each
            for each in self.aws.world.findings[account_id, REGION].values()
            if each["GeneratorId"] == MUTABILITY and each["Resources"][0]["Id"].endswith(f"/{name}")
        ]
        return dict(found)


@pytest.fixture
def nights(audit_of: MakeAudit, catalog: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Nights:
    audit = audit_of(world((SHOP, DARK, CLOSED, NAMELESS)))
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    monkeypatch.setenv("ECR_AUDIT_SECURITY_HUB_ROLE_NAME", ROLE)
    settings = Settings(data=tmp_path)
    return Nights(SmallLake(tmp_path / "lake", catalog), settings, audit.aws)


def test_three_nights_of_which_an_account_misses_one(nights: Nights) -> None:
    nights.publish(FIRST)
    sentence, first = nights.import_findings()
    assert sentence == (
        f"Security Hub: {len(first)} of {len(first)} findings that were due imported; accounts and regions: 4 IMPORTED."
    )
    assert {row["imported_night"] for row in nights.outcomes.values()} == {FIRST}
    assert nights.import_findings() == (sentence, first), "repeated, it sends the same"

    nights.publish(SECOND)
    members = dict(nights.aws.world.accounts)
    nights.aws.world.accounts[SHOP] = replace(members[SHOP], importable=False)
    with pytest.raises(steps.SecurityHubError, match=r"1 ASSUME_ROLE_DENIED.*less than ECR_AUDIT_MIN_COVERAGE"):
        nights.import_findings()
    rows = nights.outcomes
    assert {
        account: (row["outcome"], row["imported_night"]) for account, row in rows.items() if account != NAMELESS
    } == {
        SHOP: ("ASSUME_ROLE_DENIED", FIRST),
        DARK: ("IMPORTED", SECOND),
        CLOSED: ("ACCOUNT_INACTIVE", FIRST),
    }
    assert (rows[SHOP]["night"], rows[SHOP]["error_code"]) == (SECOND, "AccessDenied")
    assert {account for account, *_ in nights.aws.world.imports} <= {DARK, NAMELESS}
    unseen = nights.taken(DARK, "unseen")
    assert (unseen["Compliance"]["Status"], unseen["RecordState"]) == ("NOT_AVAILABLE", "ACTIVE")

    # Nothing happens in the third night, which publishes how the second ended.
    nights.publish(THIRD)
    nights.aws.world.accounts[SHOP] = members[SHOP]
    nights.import_findings()
    assert nights.outcomes[SHOP]["imported_night"] == THIRD
    assert nights.taken(SHOP, "fixed")["Compliance"]["Status"] == "PASSED"
    assert nights.taken(SHOP, "new")["Compliance"]["Status"] == "FAILED"
    with open_published(newest(nights.settings).database) as published:
        [(outcome, night)] = published.execute(
            f"SELECT outcome, night FROM security_hub_imports WHERE account_id = '{SHOP}'"
        ).fetchall()
    assert (outcome, night) == ("ASSUME_ROLE_DENIED", SECOND)


def test_nothing_is_imported_without_a_role(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ECR_AUDIT_SECURITY_HUB_ROLE_NAME")
    assert steps.import_findings(connect_hub, "run") is None
    assert nights.aws.counters.operations == {}


def test_a_deleted_repository_is_archived(nights: Nights) -> None:
    for day in (FIRST, SECOND):
        nights.publish(day)
        nights.import_findings()
    archived = {
        each["Resources"][0]["Id"].rpartition("/")[2]
        for found in nights.aws.world.findings.values()
        for each in found.values()
        if each["RecordState"] == "ARCHIVED"
    }
    assert archived == {"gone"}
    assert nights.taken(SHOP, "open")["RecordState"] == "ACTIVE"
