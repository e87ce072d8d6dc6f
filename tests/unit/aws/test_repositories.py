"""The flow that reads one account x region, driven by hand: what it asks for, and what it makes of the answers."""

from __future__ import annotations

import pytest

from ecr_audit.aws.outcomes import Outcome
from ecr_audit.aws.repositories import scan_target

ACCOUNT, REGION = "111111111111", "eu-west-1"


def drive(flow, *answers):
    """Send the answers (an exception is thrown in); return the calls that were asked for, and the flow's result."""
    calls = [next(flow)]
    for answer in answers:
        try:
            calls.append(flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer))
        except StopIteration as end:
            return calls, end.value
    raise AssertionError(f"still asks for {calls[-1]}")


@pytest.fixture
def scan(identity):
    def start(*, opt_in_region=False, collect_tags=True):
        somebody = identity("somebody")
        return scan_target(somebody, ACCOUNT, REGION, opt_in_region=opt_in_region, collect_tags=collect_tags)

    return start


def page(*names, **token):
    return {"repositories": [{"repositoryName": name, "repositoryArn": f"arn:{name}"} for name in names], **token}


def tagged(token="", **tags):
    mappings = [
        {"ResourceARN": f"arn:{name}", "Tags": [{"Key": key, "Value": value} for key, value in pairs.items()]}
        for name, pairs in tags.items()
    ]
    return {"ResourceTagMappingList": mappings, "PaginationToken": token}


def names(found):
    return [each["repositoryName"] for each in found.repositories]


def test_a_region_without_repositories_takes_one_call(scan):
    calls, found = drive(scan(), page())
    assert [(each.service, each.region, each.method, each.parameters) for each in calls] == [
        ("ecr", REGION, "describe_repositories", {"maxResults": 1000})
    ]
    assert (found.account_id, found.region, found.outcome) == (ACCOUNT, REGION, Outcome.COLLECTED)
    assert (found.repositories, found.error_code, found.error_message) == ([], None, None)


def test_pages_are_followed_to_the_last(scan):
    calls, found = drive(scan(collect_tags=False), page("a", nextToken="1"), page("b", "c", nextToken="2"), page("d"))
    assert [each.parameters.get("nextToken") for each in calls] == [None, "1", "2"]
    assert all(each.parameters["maxResults"] == 1000 for each in calls)
    assert names(found) == ["a", "b", "c", "d"]


def test_an_empty_page_with_a_token_is_not_the_last(scan):
    _, found = drive(scan(collect_tags=False), page(nextToken="1"), page("a", nextToken="2"), page("b"))
    assert names(found) == ["a", "b"]


def test_a_token_that_comes_back_ends_in_a_fault_not_in_a_circle(scan):
    _, found = drive(scan(), page("a", nextToken="1"), page("b", nextToken="1"))
    assert (found.outcome, found.error_code, found.repositories) == (Outcome.FAILED, "PaginationError", [])
    assert "gave the same nextToken twice" in found.error_message


def test_a_list_that_breaks_off_is_thrown_away(scan, aws_error):
    _, found = drive(scan(), page("a", nextToken="1"), aws_error("AccessDeniedException", message="no more"))
    assert (found.outcome, found.repositories) == (Outcome.ACCESS_DENIED, [])
    assert (found.error_code, found.error_message) == ("AccessDeniedException", "no more")


@pytest.mark.parametrize(("opt_in", "outcome"), [(True, Outcome.REGION_DISABLED), (False, Outcome.FAILED)])
def test_unknown_credentials_mean_a_disabled_region_only_where_one_can_be_disabled(scan, aws_error, opt_in, outcome):
    _, found = drive(scan(opt_in_region=opt_in), aws_error("UnrecognizedClientException"))
    assert found.outcome is outcome


def test_tags_are_read_a_hundred_at_a_time_where_there_are_repositories(scan):
    calls, found = drive(
        scan(), page("a", "b", "c"), tagged("t1", a={"owner": "x"}), tagged("t2"), tagged(b={}, gone={"owner": "y"})
    )
    assert [each.method for each in calls] == ["describe_repositories"] + ["get_resources"] * 3
    assert calls[1].parameters == {"ResourceTypeFilters": ["ecr:repository"], "ResourcesPerPage": 100}
    assert calls[3].parameters == {**calls[1].parameters, "PaginationToken": "t2"}
    assert {calls[n].region for n in range(4)} == {REGION}
    assert found.tags == {"arn:a": {"owner": "x"}, "arn:b": {}, "arn:gone": {"owner": "y"}}
    assert found.error_code is None


def test_tags_are_not_asked_for_when_they_are_not_wanted(scan):
    calls, found = drive(scan(collect_tags=False), page("a"))
    assert len(calls) == 1
    assert (found.outcome, found.tags) == (Outcome.COLLECTED, None)


@pytest.mark.parametrize("after", [0, 1])
def test_tags_that_cannot_be_read_lose_no_repository_and_are_told(scan, aws_error, after):
    error = aws_error("AccessDeniedException", message="tag:GetResources is denied")
    _, found = drive(scan(), page("a"), *[tagged("t1", a={"owner": "x"})] * after, error)
    assert (found.outcome, names(found)) == (Outcome.COLLECTED, ["a"])
    # Not even those that were read: half of the tags would pass for all of them.
    assert found.tags is None
    assert found.error_code == "Tags.AccessDeniedException"
    assert found.error_message == "Repository tags could not be read: tag:GetResources is denied"


def test_a_fault_of_the_program_is_not_taken_for_an_answer(scan):
    flow = scan()
    next(flow)
    with pytest.raises(KeyError):
        flow.throw(KeyError("x"))
