"""Scanning, keys, registries and policies, as the emulated AWS answers; test_moto.py compares what moto has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from demo.emulated_aws.world import (
    CreationTemplate,
    PullThroughRule,
    Registry,
    Repository,
    ScanningRule,
    World,
)
from support.clients import ErrorOf, MakeClient

OPEN = "2" * 12
WILDCARD = {"filterType": "WILDCARD"}


@pytest.mark.parametrize(
    ("rules", "scan_on_push", "frequency", "applied"),
    [
        # Never configured: the repository's own setting counts.
        (None, True, "SCAN_ON_PUSH", ()),
        (None, False, "MANUAL", ()),
        # Configured: it no longer does.
        ((), True, "MANUAL", ()),
        (((ScanningRule("SCAN_ON_PUSH", ("*",))),), False, "SCAN_ON_PUSH", ("*",)),
        ((ScanningRule("SCAN_ON_PUSH", ("prod/*",)),), True, "MANUAL", ()),
        # Without a wildcard: names that contain it. With one: the whole name.
        ((ScanningRule("SCAN_ON_PUSH", ("api",)),), False, "SCAN_ON_PUSH", ("api",)),
        ((ScanningRule("SCAN_ON_PUSH", ("*app*",)),), False, "SCAN_ON_PUSH", ("*app*",)),
        ((ScanningRule("SCAN_ON_PUSH", ("app*",)),), False, "MANUAL", ()),
        ((ScanningRule("SCAN_ON_PUSH", ("none", "team/*", "*api")),), False, "SCAN_ON_PUSH", ("*api",)),
        # Continuous scanning comes first, in whichever order the rules are.
        (
            (ScanningRule("CONTINUOUS_SCAN", ("team/*",)), ScanningRule("SCAN_ON_PUSH", ("*",))),
            False,
            "CONTINUOUS_SCAN",
            ("team/*",),
        ),
        ((ScanningRule("MANUAL", ("*",)),), True, "MANUAL", ()),
    ],
)
def test_the_registrys_rules_decide_how_often_a_repository_is_scanned(
    rules: tuple[ScanningRule, ...] | None, scan_on_push: bool, frequency: str, applied: tuple[str, ...]
) -> None:
    repository = Repository("team/app-api", scan_on_push=scan_on_push)
    assert Registry(rules).scanning_of(repository) == (frequency, applied)


def test_scanning_of_up_to_25_repositories(client: MakeClient, world: World, error_of: ErrorOf) -> None:
    ecr = client("ecr", account=OPEN)
    world.registry_source = lambda *_: Registry((ScanningRule("SCAN_ON_PUSH", ("app/*",)),))
    answer = ecr.batch_get_repository_scanning_configuration(repositoryNames=["app/web", "app/none"])
    assert answer["scanningConfigurations"] == [
        {
            "repositoryArn": f"arn:aws:ecr:us-east-1:{OPEN}:repository/app/web",
            "repositoryName": "app/web",
            "scanOnPush": False,
            "scanFrequency": "SCAN_ON_PUSH",
            "appliedScanFilters": [{**WILDCARD, "filter": "app/*"}],
        }
    ]
    assert [(each["repositoryName"], each["failureCode"]) for each in answer["failures"]] == [
        ("app/none", "REPOSITORY_NOT_FOUND")
    ]
    for names in ([f"app-{n}" for n in range(26)], ["Not a name"], ["a" * 257]):
        code, message, _ = error_of(ecr.batch_get_repository_scanning_configuration, repositoryNames=names)
        assert (code, "repositoryNames" in message) == ("InvalidParameterException", True)


def test_a_name_that_cannot_be_one_has_no_policies(client: MakeClient, error_of: ErrorOf) -> None:
    ecr = client("ecr", account=OPEN)
    for call in (ecr.get_lifecycle_policy, ecr.get_repository_policy):
        assert error_of(call, repositoryName="app//api")[0] == "InvalidParameterException"


def test_creation_templates_and_pull_through_rules(client: MakeClient, world: World, error_of: ErrorOf) -> None:
    templates = (CreationTemplate("ROOT"), CreationTemplate("quay", "IMMUTABLE_WITH_EXCLUSION", ("latest",)))
    rules = (PullThroughRule("quay", "quay.io"), PullThroughRule("hub", "registry-1.docker.io"))
    world.registry_source = lambda *_: Registry(None, templates, rules)
    ecr = client("ecr", account=OPEN)
    root, quay = ecr.describe_repository_creation_templates()["repositoryCreationTemplates"]
    # A template that leaves it out makes MUTABLE.
    assert root["prefix"] == "ROOT" and "imageTagMutability" not in root
    assert quay["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert quay["imageTagMutabilityExclusionFilters"] == [{**WILDCARD, "filter": "latest"}]
    assert quay["appliedFor"] == ["PULL_THROUGH_CACHE", "CREATE_ON_PUSH"]
    [found] = ecr.describe_repository_creation_templates(prefixes=["quay"])["repositoryCreationTemplates"]
    assert found == quay
    listed = ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"]
    assert [(each["ecrRepositoryPrefix"], each["upstreamRegistryUrl"]) for each in listed] == [
        ("quay", "quay.io"),
        ("hub", "registry-1.docker.io"),
    ]
    assert ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=["hub"])["pullThroughCacheRules"] == listed[1:]
    none = error_of(ecr.describe_pull_through_cache_rules, ecrRepositoryPrefixes=["none"])
    assert none[0] == "PullThroughCacheRuleNotFoundException"


@pytest.mark.parametrize(
    ("operation", "member"),
    [
        ("describe_repository_creation_templates", "repositoryCreationTemplates"),
        ("describe_pull_through_cache_rules", "pullThroughCacheRules"),
    ],
)
def test_pages_of_a_registrys_settings(
    client: MakeClient, world: World, error_of: ErrorOf, operation: str, member: str
) -> None:
    names = [f"team-{number}" for number in range(250)]
    world.registry_source = lambda *_: Registry(
        None,
        tuple(CreationTemplate(each, "IMMUTABLE") for each in names),
        tuple(PullThroughRule(each, "quay.io") for each in names),
    )
    ecr = client("ecr", account=OPEN)
    pages = list(ecr.get_paginator(operation).paginate())
    assert [len(page[member]) for page in pages] == [100, 100, 50]
    prefixes = [each.get("prefix") or each["ecrRepositoryPrefix"] for page in pages for each in page[member]]
    assert prefixes == names
    call = getattr(ecr, operation)
    assert len(call(maxResults=1000)[member]) == 250
    for wrong in ({"maxResults": 1001}, {"nextToken": "made up"}):
        assert error_of(call, **wrong)[0] == "InvalidParameterException"


def test_a_key_is_known_in_its_own_account_and_region(client: MakeClient, world: World, error_of: ErrorOf) -> None:
    key = f"arn:aws:kms:us-east-1:{OPEN}:key/0ea2b5e2-7a09-4f5e-9a4f-3f1d7d1f5a01"
    world.key_source = {key: "AWS"}.get
    kms = client("kms", account=OPEN)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyManager"] == "AWS"
    assert kms.describe_key(KeyId=key.rpartition("/")[2])["KeyMetadata"]["Arn"] == key
    assert error_of(client("kms", "eu-west-1", account=OPEN).describe_key, KeyId=key)[0] == "NotFoundException"


READS: dict[str, tuple[str, dict[str, Any]]] = {
    "ecr:BatchGetRepositoryScanningConfiguration": ("ecr", {"repositoryNames": ["app/api"]}),
    "ecr:DescribeRepositoryCreationTemplates": ("ecr", {}),
    "ecr:DescribePullThroughCacheRules": ("ecr", {}),
    "ecr:GetLifecyclePolicy": ("ecr", {"repositoryName": "app/api"}),
    "ecr:GetRepositoryPolicy": ("ecr", {"repositoryName": "app/api"}),
    "ecr:DescribeRepositories": ("ecr", {}),
    "kms:DescribeKey": ("kms", {"KeyId": "0ea2b5e2-7a09-4f5e-9a4f-3f1d7d1f5a01"}),
    "tag:GetResources": ("resourcegroupstaggingapi", {}),
}


@pytest.mark.parametrize("action", READS)
def test_a_role_that_is_not_allowed_an_action_is_refused_in_the_words_of_iam(
    client: MakeClient, world: World, error_of: ErrorOf, action: str
) -> None:
    account = replace(world.accounts[OPEN], denied_actions=frozenset({action}))
    world.accounts = {**world.accounts, OPEN: account}
    service, parameters = READS[action]
    asked = client(service, account=OPEN)
    method = next(each for each in dir(asked) if each.replace("_", "") == action.partition(":")[2].lower())
    code, message, _ = error_of(getattr(asked, method), **parameters)
    assert code == "AccessDeniedException"
    assert message.endswith(f"because no identity-based policy allows the {action} action")
    if action == "ecr:DescribeRepositories":
        assert world.outcome(OPEN, "us-east-1") == "ACCESS_DENIED"
