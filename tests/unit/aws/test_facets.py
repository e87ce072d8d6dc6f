"""The flow that reads the facets of one registry, driven by hand: what it asks for, and what it makes of answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from ecr_audit.aws.answers import quoted
from ecr_audit.aws.dispatcher import Call, Calls, Flow, NextPart
from ecr_audit.aws.ecr.facet import FacetRead, Fault, Registry
from ecr_audit.aws.ecr.facets import FACETS, REGISTRY_FACET, Wanted, collect
from ecr_audit.aws.ecr.repositories import Repository
from ecr_audit.aws.permissions import action_of
from ecr_audit.vocabulary import Facet

from .conftest import FakeIdentity, MakeError

ACCOUNT, REGION = "111111111111", "eu-west-1"
NIGHT = date(2026, 3, 1)
REGISTRY_ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:registry"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
ODD: list[Any] = [[], {}, 5, 1.5, True, ["x"], {"x": 1}, "\ud800", float("nan")]

Answer = Callable[[Call], Any]


def arn(name: str) -> str:
    return f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"


def repository(name: str, key: str | None = None) -> Repository:
    return Repository(name, arn(name), None, None, "MUTABLE", (), None, "KMS" if key else "AES256", key)


class Collected:
    """A registry's facets, as a flow reads them of a service that `answer` stands for."""

    def __init__(self, identity: FakeIdentity) -> None:
        self.registry = Registry(identity, ACCOUNT, REGION, at_once=4)
        self.calls: list[Call] = []
        # How many calls were asked for together.
        self.groups: list[int] = []

    def read(self, answer: Answer, repositories: Sequence[Repository], *facets: Facet) -> dict[Facet, FacetRead]:
        found: dict[Facet, FacetRead] = {}
        wanted = Wanted(facets, NIGHT, rotation_nights=1)
        self.drive(collect(self.registry, repositories, wanted, found.__setitem__), answer)
        return found

    def drive(self, flow: Flow, answer: Answer) -> None:
        try:
            asked = next(flow)
            while True:
                if isinstance(asked, Calls):
                    self.groups.append(len(asked.calls))
                    asked = flow.send([self._answer(answer, call) for call in asked.calls])
                elif isinstance(asked, NextPart):
                    asked = flow.send(None)
                else:
                    reply = self._answer(answer, asked)
                    asked = flow.throw(reply) if isinstance(reply, Exception) else flow.send(reply)
        except StopIteration:
            return

    def _answer(self, answer: Answer, call: Call) -> Any:
        self.calls.append(call)
        return answer(call)


@pytest.fixture
def collected(identity: type[FakeIdentity]) -> Collected:
    return Collected(identity("somebody"))


def failures(read: FacetRead) -> dict[str, str | None]:
    """Why each object that was not read was not, by ARN."""
    return {arn: read.error_of(arn) for arn in read.unread}


# Which are read


def test_the_facets_that_are_not_wanted_are_not_asked_for(collected: Collected) -> None:
    assert collected.read(lambda call: pytest.fail(str(call)), [repository("a")]) == {}


@pytest.mark.parametrize("declaration", FACETS, ids=lambda each: each.facet)
def test_each_facet_and_its_probe_make_the_declared_calls(
    declaration: Any, collected: Collected, aws_error: MakeError
) -> None:
    repositories = [repository("a", KEY)]
    denied = aws_error("AccessDeniedException", message="no")
    [read] = collected.read(lambda _: denied, repositories, declaration.facet).values()
    declared = {permission.action for permission in declaration.permissions}
    probed = {action_of(each.service, each.method) for each in declaration.probe(collected.registry, repositories[0])}
    called = {action_of(each.service, each.method) for each in collected.calls}
    assert probed == declared >= called
    assert all(permission.facet is declaration.facet for permission in declaration.permissions)
    assert {call.region for call in collected.calls} == {REGION}
    # Nothing was read, and nothing is claimed to be.
    assert read.values == {}
    assert set(failures(read).values()) == {"AccessDeniedException"}
    assert read.fault == Fault("AccessDeniedException", "no")


def test_by_rotation_each_object_has_one_turn_in_its_nights() -> None:
    [lifecycle] = [each for each in FACETS if each.facet is Facet.LIFECYCLE]
    objects = [arn(f"team/app-{number}") for number in range(700)]
    turns = [Wanted((), NIGHT + timedelta(n), 7).due(lifecycle, objects) for n in range(7)]
    assert Counter(each for turn in turns for each in turn) == Counter(objects)
    assert all(60 < len(turn) < 140 for turn in turns)
    assert sorted(Wanted((), NIGHT, 1).due(lifecycle, objects)) == sorted(objects)


def test_objects_that_a_short_night_leaves_out_are_among_the_first_of_a_later_one() -> None:
    """AWS's limits let half of each night's turn be read: all are read within a few times round."""
    [lifecycle] = [each for each in FACETS if each.facet is Facet.LIFECYCLE]
    objects = {arn(f"team/app-{number}") for number in range(700)}
    read: set[str] = set()
    for night in range(7 * 4):
        due = Wanted((), NIGHT + timedelta(night), 7).due(lifecycle, sorted(objects))
        read |= set(due[: len(due) // 2])
    assert read == objects


def test_facets_by_rotation_are_those_that_the_vocabulary_names() -> None:
    nightly = {each.facet for each in FACETS if not each.rotates}
    assert nightly == {Facet.TAGS, Facet.SCANNING, Facet.KEYS}
    assert [each.facet for each in FACETS] == list(Facet)


# Tags


def tagged(token: object = "", **tags: Mapping[str, str]) -> dict[str, Any]:
    mappings = [
        {"ResourceARN": arn(name), "Tags": [{"Key": key, "Value": value} for key, value in pairs.items()]}
        for name, pairs in tags.items()
    ]
    return {"ResourceTagMappingList": mappings, "PaginationToken": token}


def tags_of(read: FacetRead) -> dict[str, dict[str, str]]:
    return {each: dict(values["tags"]) for each, values in read.values.items()}


def shortened(value: object) -> str:
    return quoted(value)[-60:]


def read_tags(collected: Collected, *answers: Any, names: Sequence[str] = ("a",)) -> FacetRead:
    waiting = iter(answers)
    found = collected.read(lambda _: next(waiting), [repository(name) for name in names], Facet.TAGS)
    assert next(waiting, None) is None
    return found[Facet.TAGS]


def test_tags_are_read_a_hundred_at_a_time(collected: Collected) -> None:
    pages = tagged("t1", a={"owner": "x"}), tagged("t2"), tagged(b={}, gone={"owner": "y"})
    read = read_tags(collected, *pages, names=["a", "b", "c"])
    assert [each.method for each in collected.calls] == ["get_resources"] * 3
    assert collected.calls[0].parameters == {"ResourceTypeFilters": ["ecr:repository"], "ResourcesPerPage": 100}
    assert collected.calls[2].parameters == {**collected.calls[0].parameters, "PaginationToken": "t2"}
    assert tags_of(read) == {arn("a"): {"owner": "x"}, arn("b"): {}, arn("c"): {}}
    assert (read.fault, read.unread) == (None, [])


def test_tags_that_break_off_are_not_taken_for_all(collected: Collected, aws_error: MakeError) -> None:
    denied = aws_error("AccessDeniedException", message="tag:GetResources is denied")
    read = read_tags(collected, tagged("t1", a={"owner": "x"}), denied)
    assert read.values == {}
    assert failures(read) == {arn("a"): "AccessDeniedException"}


NO_TAGS: list[Any] = [[], {}, None, "owner", 5, {"Value": "x"}]
ODD_TAGS: list[tuple[Any, Any]] = [
    ([{"Key": "owner"}, {"Key": "stage", "Value": "prod"}], {"owner": "", "stage": "prod"}),
    ([{"Key": "owner", "Value": None}], {"owner": ""}),
    *(([{"Key": "owner", "Value": value}, {"Key": "a", "Value": "b"}], {"a": "b"}) for value in ODD),
    *(([{"Key": value, "Value": "x"}, {"Key": "a", "Value": "b"}], {"a": "b"}) for value in (None, *ODD)),
    *(([value, {"Key": "a", "Value": "b"}], {"a": "b"}) for value in NO_TAGS),
    ([{"Key": "owner", "Value": "x" * 257}], {}),
    # Not known, which is not the same as none.
    *((value, None) for value in (None, "owner=x", 5, {"owner": "x"})),
]


@pytest.mark.parametrize(("tags", "read"), ODD_TAGS, ids=shortened)
def test_an_odd_tag_costs_only_itself_and_is_reported(collected: Collected, tags: Any, read: Any) -> None:
    answer = json.loads(json.dumps({"ResourceTagMappingList": [{"ResourceARN": arn("a"), "Tags": tags}]}))
    found = read_tags(collected, answer)
    assert tags_of(found) == ({} if read is None else {arn("a"): read})
    assert found.fault is not None
    assert found.fault.error_code == "UnreadableValue"
    assert arn("a")[:20] in found.fault.error_message
    assert failures(found) == ({arn("a"): "UnreadableValue"} if read is None else {})


@pytest.mark.parametrize("resource", [None, "arn", 5, [], {}, {"Tags": []}, {"ResourceARN": 5, "Tags": []}])
def test_a_tagged_resource_without_an_arn_is_reported(collected: Collected, resource: object) -> None:
    [tagged_a] = tagged(a={"owner": "x"})["ResourceTagMappingList"]
    read = read_tags(collected, {"ResourceTagMappingList": [resource, tagged_a]})
    assert tags_of(read) == {arn("a"): {"owner": "x"}}
    assert read.fault is not None


def test_a_resource_on_two_pages_and_a_key_twice_are_one_and_the_later_one_stands(collected: Collected) -> None:
    twice = {"ResourceARN": arn("a"), "Tags": [{"Key": "owner", "Value": "y"}, {"Key": "owner", "Value": "z"}]}
    read = read_tags(collected, tagged("1", a={"owner": "x", "stage": "prod"}), {"ResourceTagMappingList": [twice]})
    assert (tags_of(read), read.fault) == ({arn("a"): {"owner": "z"}}, None)


@pytest.mark.parametrize("answer", [{"ResourceTagMappingList": {}}, tagged(5, a={"owner": "x"})])
def test_tags_in_an_answer_that_cannot_be_read_are_unread(collected: Collected, answer: Any) -> None:
    assert failures(read_tags(collected, answer)) == {arn("a"): "ResponseParserError"}


# Scanning


def configured(call: Call, frequency: object = "SCAN_ON_PUSH", **failed: str) -> dict[str, Any]:
    """All that was asked for, but those that failed, by name."""
    names = call.parameters["repositoryNames"]
    return {
        "scanningConfigurations": [
            {"repositoryArn": arn(name), "repositoryName": name, "scanFrequency": frequency, "appliedScanFilters": []}
            for name in names
            if name not in failed
        ],
        "failures": [
            {"repositoryName": name, "failureCode": code, "failureReason": "because"}
            for name, code in failed.items()
            if name in names
        ],
    }


def test_scanning_is_asked_for_twenty_five_repositories_at_a_time(collected: Collected) -> None:
    repositories = [repository(f"app-{number}") for number in range(60)]
    read = collected.read(configured, repositories, Facet.SCANNING)[Facet.SCANNING]
    assert [len(each.parameters["repositoryNames"]) for each in collected.calls] == [25, 25, 10]
    assert {each["scan_frequency"] for each in read.values.values()} == {"SCAN_ON_PUSH"}
    assert len(read.values) == 60


def test_a_repository_that_is_gone_is_not_a_fault_and_another_failure_is_its_own(collected: Collected) -> None:
    def answer(call: Call) -> Any:
        return configured(call, b="REPOSITORY_NOT_FOUND", c="INTERNAL")

    repositories = [repository(name) for name in "abc"]
    read = collected.read(answer, repositories, Facet.SCANNING)[Facet.SCANNING]
    assert set(read.values) == {arn("a")}
    assert failures(read) == {arn("c"): "INTERNAL"}
    assert read.fault == Fault("INTERNAL", "c: because")


@pytest.mark.parametrize("frequency", [None, *ODD])
def test_a_frequency_that_is_not_text_was_not_returned(collected: Collected, frequency: object) -> None:
    read = collected.read(lambda call: configured(call, frequency), [repository("a")], Facet.SCANNING)[Facet.SCANNING]
    assert failures(read) == {arn("a"): "NotReturned"}


@pytest.mark.parametrize("member", ["scanningConfigurations", "failures"])
@pytest.mark.parametrize("value", ["x", 5, {"a": 1}, [None], [[]], [5]])
def test_an_odd_answer_on_scanning_costs_only_itself(collected: Collected, member: str, value: object) -> None:
    read = collected.read(lambda call: {**configured(call), member: value}, [repository("a")], Facet.SCANNING)
    assert set(read[Facet.SCANNING].values) | set(read[Facet.SCANNING].unread) == {arn("a")}


def test_the_filters_that_decide_are_kept(collected: Collected) -> None:
    def answer(call: Call) -> Any:
        [found] = configured(call)["scanningConfigurations"]
        applied = [{"filter": "prod/*", "filterType": "WILDCARD"}, {"filter": 5}, None]
        return {"scanningConfigurations": [{**found, "appliedScanFilters": applied}]}

    read = collected.read(answer, [repository("a")], Facet.SCANNING)[Facet.SCANNING]
    assert read.values[arn("a")]["scan_filters"] == ["prod/*"]


# Keys


def test_each_key_is_asked_for_once_and_those_of_others_not_at_all(collected: Collected) -> None:
    elsewhere = f"arn:aws:kms:{REGION}:222222222222:key/2"
    repositories = [repository("a", KEY), repository("b", KEY), repository("c", elsewhere), repository("d")]
    read = collected.read(lambda _: {"KeyMetadata": {"KeyManager": "AWS"}}, repositories, Facet.KEYS)[Facet.KEYS]
    assert [each.parameters for each in collected.calls] == [{"KeyId": KEY}]
    managers = {each: values["kms_key_manager"] for each, values in read.values.items()}
    assert managers == {arn("a"): "AWS", arn("b"): "AWS", arn("c"): "CUSTOMER", arn("d"): None}


@pytest.mark.parametrize("metadata", [{}, {"KeyManager": 5}, "x", []])
def test_a_key_without_a_manager_was_not_read(collected: Collected, metadata: object) -> None:
    read = collected.read(lambda _: {"KeyMetadata": metadata}, [repository("a", KEY)], Facet.KEYS)[Facet.KEYS]
    assert failures(read) == {arn("a"): "ResponseParserError"}


# Policies of repositories

PER_REPOSITORY = [
    (Facet.LIFECYCLE, "lifecyclePolicyText", "LifecyclePolicyNotFoundException", "lifecycle_policy"),
    (Facet.POLICIES, "policyText", "RepositoryPolicyNotFoundException", "repository_policy"),
]
per_repository = pytest.mark.parametrize(("facet", "member", "none", "column"), PER_REPOSITORY)


@per_repository
def test_a_policy_is_kept_as_it_is_and_none_is_an_answer(
    collected: Collected, aws_error: MakeError, facet: Facet, member: str, none: str, column: str
) -> None:
    answers = {
        "a": {member: '{"rules": []}'},
        "b": aws_error(none),
        "c": aws_error("RepositoryNotFoundException"),
        "d": aws_error("ServerException"),
        "e": {member: 5},
    }
    repositories = [repository(name) for name in answers]
    read = collected.read(lambda call: answers[call.parameters["repositoryName"]], repositories, facet)[facet]
    assert read.values == {arn("a"): {column: '{"rules": []}'}, arn("b"): {column: None}}
    assert failures(read) == {arn("d"): "ServerException", arn("e"): "ResponseParserError"}


@per_repository
def test_a_missing_permission_costs_a_few_calls_not_one_for_each_repository(
    collected: Collected, aws_error: MakeError, facet: Facet, member: str, none: str, column: str
) -> None:
    repositories = [repository(f"app-{number}") for number in range(1000)]
    read = collected.read(lambda _: aws_error("AccessDeniedException"), repositories, facet)[facet]
    assert len(collected.calls) == 4
    assert set(failures(read).values()) == {"AccessDeniedException"}
    assert len(read.unread) == 1000


def test_an_explicit_deny_on_some_repositories_costs_only_these(collected: Collected, aws_error: MakeError) -> None:
    def answer(call: Call) -> Any:
        is_denied = call.parameters["repositoryName"] in ("app-0", "app-50")
        return aws_error("AccessDeniedException") if is_denied else {"policyText": "{}"}

    repositories = [repository(f"app-{number}") for number in range(100)]
    read = collected.read(answer, repositories, Facet.POLICIES)[Facet.POLICIES]
    assert set(failures(read)) == {arn("app-0"), arn("app-50")}
    assert collected.groups[0] == 4


# The registry


def registry_answer(call: Call) -> dict[str, Any]:
    templates = [
        {
            "prefix": "ROOT",
            "appliedFor": ["REPLICATION"],
            "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "latest"}],
        }
    ]
    if call.method == "describe_repository_creation_templates":
        following = {} if "nextToken" in call.parameters else {"nextToken": "1"}
        return {"repositoryCreationTemplates": templates, **following}
    return {"pullThroughCacheRules": [{"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": "registry-1.docker.io"}]}


def test_a_registry_is_read_by_two_calls_in_pages(collected: Collected) -> None:
    read = collected.read(registry_answer, [repository("a"), repository("b")], Facet.REGISTRIES)[Facet.REGISTRIES]
    template = {
        "prefix": "ROOT",
        "applied_for": ["REPLICATION"],
        "image_tag_mutability": "IMMUTABLE_WITH_EXCLUSION",
        "exclusion_filters": ["latest"],
    }
    assert read.values == {
        REGISTRY_ARN: {
            "creation_templates": [template, template],
            "pull_through_rules": [{"prefix": "hub", "upstream_registry_url": "registry-1.docker.io"}],
        }
    }
    assert len(collected.calls) == 3


@pytest.mark.parametrize("struck", ["describe_repository_creation_templates", "describe_pull_through_cache_rules"])
def test_a_registry_of_which_one_half_cannot_be_read_is_unread(
    collected: Collected, aws_error: MakeError, struck: str
) -> None:
    def answer(call: Call) -> Any:
        return aws_error("ThrottlingException") if call.method == struck else registry_answer(call)

    read = collected.read(answer, [repository("a")], Facet.REGISTRIES)[Facet.REGISTRIES]
    assert (read.values, failures(read)) == ({}, {REGISTRY_ARN: "ThrottlingException"})


def test_a_region_that_does_not_offer_the_feature_has_none(collected: Collected, aws_error: MakeError) -> None:
    disabled = aws_error("ValidationException", message="This feature is disabled")
    read = collected.read(lambda _: disabled, [repository("a")], Facet.REGISTRIES)[Facet.REGISTRIES]
    assert read.values == {REGISTRY_ARN: {"creation_templates": [], "pull_through_rules": []}}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("repositoryCreationTemplates", [None]),
        ("repositoryCreationTemplates", [{"imageTagMutability": "MUTABLE"}]),
        ("repositoryCreationTemplates", [{"prefix": "a", "appliedFor": "ALL"}]),
        ("repositoryCreationTemplates", [{"prefix": "a", "imageTagMutabilityExclusionFilters": {"a": 1}}]),
        ("repositoryCreationTemplates", [{"prefix": "a", "imageTagMutabilityExclusionFilters": [{}]}]),
        ("pullThroughCacheRules", [{"ecrRepositoryPrefix": 5}]),
        ("pullThroughCacheRules", ["a"]),
    ],
)
def test_an_odd_template_or_rule_makes_the_registry_unread_not_compliant(
    collected: Collected, member: str, value: object
) -> None:
    def answer(call: Call) -> Any:
        good = registry_answer(call)
        return {member: value} if member in good else good

    read = collected.read(answer, [repository("a")], Facet.REGISTRIES)[Facet.REGISTRIES]
    assert failures(read) == {REGISTRY_ARN: "ResponseParserError"}


@pytest.mark.parametrize("value", [None, "", "SOMETIMES", 5, "x" * 100])
def test_an_odd_mutability_of_a_template_is_for_the_policy_to_evaluate(collected: Collected, value: object) -> None:
    def answer(call: Call) -> Any:
        good = registry_answer(call)
        templates = [{"prefix": "a", "imageTagMutability": value}]
        return {"repositoryCreationTemplates": templates} if "repositoryCreationTemplates" in good else good

    read = collected.read(answer, [repository("a")], Facet.REGISTRIES)[Facet.REGISTRIES]
    [template] = read.values[REGISTRY_ARN]["creation_templates"]
    assert template["image_tag_mutability"] in (value, "5", f"{'x' * 63}…")


# Faults


def test_a_facet_that_fails_costs_no_other(collected: Collected, aws_error: MakeError) -> None:
    def answer(call: Call) -> Any:
        return registry_answer(call) if "describe" in call.method else aws_error("AccessDeniedException")

    found = collected.read(answer, [repository("a")], *Facet)
    assert {facet for facet, read in found.items() if read.fault is None} == {Facet.REGISTRIES, Facet.KEYS}


def test_a_fault_of_the_program_is_not_taken_for_an_answer(collected: Collected) -> None:
    for facet in Facet:
        with pytest.raises(KeyError):
            collected.read(lambda _: KeyError("x"), [repository("a", KEY)], facet)


def test_values_that_were_read_before_the_time_was_up_count() -> None:
    read = FacetRead(["a", "b", "c"], {"a": {}}, errors={"b": "Throttling"}, gone={"c"})
    read.cut_off(Fault("BatchTimeUp", "not finished"))
    assert (failures(read), read.error_of("a"), read.error_of("c")) == ({"b": "Throttling"}, None, None)
    whole = FacetRead(["a"], {"a": {}})
    whole.cut_off(Fault("BatchTimeUp", "not finished"))
    assert whole.fault is None
    assert REGISTRY_FACET.rotates
