"""The flow that reads the image tags of one registry, driven by hand: its calls, and what it makes of answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.parsers import ResponseParserError

from ecr_audit.aws.dispatcher import Call
from ecr_audit.aws.ecr.facet import Registry
from ecr_audit.aws.ecr.image_tags import FILTER, PAGE, TagRead, read_image_tags
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.aws.permissions import action_of

from .conftest import FakeIdentity, MakeError

AT_ONCE = 4


class Reading:
    """Repositories of a registry, read of a service that `answer` stands for."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.groups: list[int] = []
        self.ended: Any = None

    def read(self, answer: Callable[[Call], Any], *names: str) -> dict[str, TagRead]:
        reads = [TagRead(name) for name in names]
        flow = read_image_tags(Registry(FakeIdentity("member"), "111111111111", "eu-west-1", AT_ONCE), reads)
        try:
            asked: Any = next(flow)
            while True:
                assert asked.at_once == AT_ONCE
                self.groups.append(len(asked.calls))
                self.calls += asked.calls
                asked = flow.send([answer(call) for call in asked.calls])
        except StopIteration as end:
            self.ended = end.value
        return {read.repository_name: read for read in reads}


@pytest.fixture
def reading() -> Reading:
    return Reading()


def image(tag: Any = "latest", digest: Any = "sha256:1") -> dict[str, Any]:
    return {"imageTag": tag, "imageDigest": digest}


def page(*images: Any, token: Any = None) -> dict[str, Any]:
    return {"imageIds": list(images)} | ({} if token is None else {"nextToken": token})


def names(count: int) -> list[str]:
    return [f"team/{number:02}" for number in range(count)]


def test_the_call_is_one_that_botocore_knows(reading: Reading) -> None:
    reading.read(lambda _: page(), "app")
    [call] = reading.calls
    assert (call.service, call.method, call.expects) == ("ecr", "list_images", "imageIds")
    assert action_of(call.service, call.method) == "ecr:ListImages"
    model = botocore.session.get_session().get_service_model("ecr")
    known: Any = model.operation_model("ListImages").input_shape
    assert set(call.parameters) <= set(known.members)
    accepted = known.members["filter"].members
    assert {name: value in accepted[name].enum for name, value in FILTER.items()} == dict.fromkeys(FILTER, True)
    assert call.parameters["maxResults"] == PAGE == known.members["maxResults"].metadata["max"]


def test_pages_follow_each_other_and_an_empty_one_is_not_the_last(reading: Reading) -> None:
    pages = {None: page(image("a"), token="1"), "1": page(token="2"), "2": page(image("b", "sha256:2"))}
    read = reading.read(lambda call: pages[call.parameters.get("nextToken")], "app")["app"]
    assert (read.outcome, read.tags, read.calls) == (Outcome.COLLECTED, {"a": "sha256:1", "b": "sha256:2"}, 3)
    assert read.read_at is not None
    assert reading.ended is None


def test_a_tag_on_two_pages_has_the_later_digest(reading: Reading) -> None:
    pages = {None: page(image(), token="1"), "1": page(image(digest="sha256:2"))}
    assert reading.read(lambda call: pages[call.parameters.get("nextToken")], "app")["app"].tags == {
        "latest": "sha256:2"
    }


@pytest.mark.parametrize(
    "answer",
    [
        {"imageIds": {}},
        {"imageIds": "x"},
        page(image(), token=5),
        page("x"),
        page(None),
        page({"imageTag": "latest"}),
        page({"imageDigest": "sha256:1"}),
        page(image(tag="")),
        page(image(tag="x" * 129)),
        page(image(digest=["x"])),
        page(image(digest="\ud800")),
    ],
)
def test_an_unreadable_page_makes_the_read_incomplete(reading: Reading, answer: Any) -> None:
    reads = reading.read(
        lambda call: answer if call.parameters["repositoryName"] == "odd" else page(image()), "odd", "app"
    )
    assert (reads["odd"].outcome, reads["odd"].error_code) == (Outcome.FAILED, "ResponseParserError")
    assert reads["odd"].tags == {}
    assert reads["app"].is_complete


def test_a_token_that_comes_back_ends_the_read(reading: Reading) -> None:
    read = reading.read(lambda _: page(image(), token="again"), "app")["app"]
    assert (read.outcome, read.error_code, read.calls) == (Outcome.FAILED, "PaginationError", 2)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("AccessDeniedException", Outcome.ACCESS_DENIED),
        ("ThrottlingException", Outcome.THROTTLED),
        ("ServerException", Outcome.FAILED),
    ],
)
def test_a_registry_that_refuses_every_call_costs_some(
    reading: Reading, aws_error: MakeError, code: str, outcome: Outcome
) -> None:
    reads = reading.read(lambda _: aws_error(code), *names(50))
    ended = Counter(read.outcome for read in reads.values())
    assert ended == {outcome: len(reading.calls), None: 50 - len(reading.calls)}
    assert 8 <= len(reading.calls) < 50
    assert reading.groups[0] == AT_ONCE
    assert (reading.ended.outcome, reading.ended.error_code, reading.ended.error_message) == (outcome, code, "no")


def test_single_faults_and_deleted_repositories_end_only_themselves(reading: Reading, aws_error: MakeError) -> None:
    def answer(call: Call) -> Any:
        name = call.parameters["repositoryName"]
        if name == "team/03":
            return ResponseParserError("not JSON")
        return aws_error("RepositoryNotFoundException") if name > "team/20" else page(image())

    reads = reading.read(answer, *names(60))
    assert len(reading.calls) == 60
    assert {name for name, read in reads.items() if read.is_complete} == {*names(21)} - {"team/03"}
    assert reads["team/59"].error_code == "RepositoryNotFoundException"


def test_a_fault_of_the_program_is_not_an_answer(reading: Reading) -> None:
    with pytest.raises(KeyError):
        reading.read(lambda _: KeyError("x"), "app")
