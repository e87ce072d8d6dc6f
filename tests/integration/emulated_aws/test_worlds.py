"""The demo organization and the large one: what they hold, and that the emulated AWS shows them as they are."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from datetime import date

import boto3
import pytest
from botocore.exceptions import ClientError

from demo.emulated_aws.world import Repository, World
from demo.large import large_world
from demo.organization import EXTERNAL_ID, PAGE_EXCEEDING, demo_world
from support.clients import MakeClient
from support.paths import PYTHONPATH
from support.processes import PATIENCE, with_the_run

TODAY = date(2026, 11, 2)
# Shape `RepositoryName` of the API's model.
REPOSITORY_NAME = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"


def everything(world: World) -> dict[tuple[str, str, str], Repository]:
    """Index all repositories by (account id, region, name)."""
    return {(*target, each.name): each for target in world.targets() for each in world.repositories(*target)}


def scan(client: MakeClient, world: World) -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], int]]:
    """Look at every target as plainly as can be; return outcomes, and counts of repositories."""
    hub, outcomes, counts = client("sts"), {}, {}
    for account in client("organizations").get_paginator("list_accounts").paginate().search("Accounts"):
        keys = {}
        refused = "ACCOUNT_INACTIVE" if account["State"] != "ACTIVE" else ""
        if not refused and account["Id"] != world.hub_account_id:
            role = f"arn:aws:iam::{account['Id']}:role/ecr-audit"
            try:
                issued = hub.assume_role(RoleArn=role, RoleSessionName="scan", ExternalId=EXTERNAL_ID)["Credentials"]
            except ClientError:
                refused = "ASSUME_ROLE_DENIED"
            else:
                keys = issued
        for region in (each.name for each in world.regions):
            target = account["Id"], region
            if refused:
                outcomes[target] = refused
                continue
            try:
                pages = client("ecr", region, keys=keys).get_paginator("describe_repositories").paginate()
                counts[target] = len(list(pages.search("repositories")))
                outcomes[target] = "COLLECTED"
            except ClientError as error:
                closed = {"UnrecognizedClientException": "REGION_DISABLED", "AccessDeniedException": "ACCESS_DENIED"}
                outcomes[target] = closed[error.response["Error"]["Code"]]
    return outcomes, counts


class TestDemo:
    @pytest.fixture(params=[1, 2], ids=["night 1", "night 2"])
    def world(self, request: pytest.FixtureRequest) -> World:
        return demo_world(request.param, TODAY)

    def test_the_emulated_aws_shows_the_truth_that_the_world_knows(self, client: MakeClient, world: World) -> None:
        outcomes, counts = scan(client, world)
        assert outcomes == {target: world.outcome(*target) for target in world.targets()}
        assert counts == {target: len(world.repositories(*target)) for target in counts}

    def test_every_outcome_happens(self, world: World) -> None:
        assert {world.outcome(*target) for target in world.targets()} == {
            "COLLECTED",
            "ASSUME_ROLE_DENIED",
            "ACCESS_DENIED",
            "REGION_DISABLED",
            "ACCOUNT_INACTIVE",
        }

    def test_it_is_the_same_each_time(self, world: World, request: pytest.FixtureRequest) -> None:
        again = demo_world(1 if "night 1" in request.node.name else 2, TODAY)
        assert (everything(again), again.accounts) == (everything(world), world.accounts)

    def test_its_size(self, world: World) -> None:
        assert len(world.accounts) >= 24
        assert [region.opt_in for region in world.regions].count(True) == 1
        assert max(world.ou_path(account).count("/") for account in world.accounts) == 3
        elsewhere = sum(len(world.repositories(*target)) for target in world.targets() if target != PAGE_EXCEEDING)
        assert 550 <= elsewhere <= 650
        assert len(world.repositories(*PAGE_EXCEEDING)) > 1000

    def test_it_has_unexpected_cases(self, world: World) -> None:
        repositories = everything(world).values()
        mutabilities = {each.image_tag_mutability for each in repositories}
        known = {"MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"}
        assert mutabilities > known
        assert None in mutabilities
        assert any(each.exclusion_filters == ("*",) for each in repositories)
        assert {key for each in repositories for key in each.tags or ()} == {"owner", "team", "service"}
        assert {None, ()} <= {each.tags if each.tags is None else tuple(each.tags) for each in repositories}
        names = "".join(account.name for account in world.accounts.values())
        assert all(odd in names for odd in ('"', "'", "\n", "<script>", "=HYPERLINK", "ü"))

    def test_names_and_filters_are_such_as_aws_allows(self, world: World) -> None:
        for repository in everything(world).values():
            assert re.fullmatch(REPOSITORY_NAME, repository.name)
            excludes = str(repository.image_tag_mutability).endswith("_WITH_EXCLUSION")
            assert bool(repository.exclusion_filters) == excludes
        assert all(re.fullmatch(r"\d{12}", account) for account in world.accounts)
        assert all(len(account.name) <= 50 for account in world.accounts.values())


def test_changes_between_the_nights() -> None:
    yesterday, today = demo_world(1), demo_world(2, TODAY)
    before, after = everything(yesterday), everything(today)
    both = before.keys() & after.keys()
    changed = Counter(
        (before[key].image_tag_mutability, after[key].image_tag_mutability)
        for key in both
        if before[key].image_tag_mutability != after[key].image_tag_mutability
    )
    assert changed["MUTABLE", "IMMUTABLE"] >= 5
    assert changed["MUTABLE", "IMMUTABLE_WITH_EXCLUSION"] == 1
    assert changed["IMMUTABLE", "MUTABLE"] >= 1
    assert len(before.keys() - after.keys()) == 3
    (new_account,) = today.accounts.keys() - yesterday.accounts.keys()
    opened = [key for key in after.keys() - before.keys() if key[0] != new_account]
    assert [after[key].image_tag_mutability for key in opened] == ["MUTABLE"] * 3
    assert len([key for key in both if before[key].created_at != after[key].created_at]) == 1

    def outcomes(night: World) -> set[tuple[str, str, str]]:
        return {(*target, night.outcome(*target)) for target in yesterday.targets()}

    worse = outcomes(today) - outcomes(yesterday)
    assert {each[0] for each in worse if each[2] == "ASSUME_ROLE_DENIED"} == {"210000000015"}
    assert {each for each in worse if each[2] == "ACCESS_DENIED"} == {("210000000024", "us-west-2", "ACCESS_DENIED")}


def test_there_is_no_third_night() -> None:
    with pytest.raises(ValueError, match="night: 3 is not a night of the demo"):
        demo_world(3)


class TestLarge:
    def test_it_is_derived_and_the_same_each_time(self) -> None:
        one, two = large_world(50, 17), large_world(50, 17)
        assert everything(one) == everything(two)
        assert everything(one) != everything(large_world(50, 17, seed=1))

    def test_most_targets_are_empty_and_the_rest_have_the_wanted_repositories(self) -> None:
        world = large_world(300, 17, occupied_share=0.2, repositories_per_target=10)
        sizes = [len(world.repositories(*target)) for target in world.targets()]
        occupied = [size for size in sizes if size]
        assert len(sizes) == 300 * 17
        assert 0.17 < len(occupied) / len(sizes) < 0.23
        assert 8 < sum(occupied) / len(occupied) < 12
        assert max(occupied) > 50

    def test_shares_of_accounts_and_regions_can_be_closed(self) -> None:
        world = large_world(300, 10, unassumable_share=0.1, denied_share=0.05)
        outcomes = Counter(world.outcome(*target) for target in world.targets())
        assert 150 < outcomes["ASSUME_ROLE_DENIED"] < 450
        assert 75 < outcomes["ACCESS_DENIED"] < 225
        assert world.outcome(world.hub_account_id, "us-east-1") != "ASSUME_ROLE_DENIED"

    def test_there_are_no_more_regions_than_aws_has(self) -> None:
        with pytest.raises(ValueError, match="regions: 18 is out of range"):
            large_world(10, 18)


def test_it_serves_from_its_own_process_and_ends_on_request(
    boto_session: boto3.Session, request: pytest.FixtureRequest
) -> None:
    command = with_the_run(sys.executable, "-m", "demo", "--night", "2")
    environment = {
        **os.environ,
        "PYTHONPATH": PYTHONPATH,
    }
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            endpoint = process.stdout.readline().strip()
            sts = boto_session.client("sts", "us-east-1", endpoint_url=endpoint)
            assert sts.get_caller_identity()["Account"] == "210000000001"
            sts.close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
