"""The approval check refuses whatever is not a named person's approval of this very plan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ecr_audit.remediation.approval import Answer, Rules, person, refusal

PLAN, OTHER = "a" * 64, "b" * 64
PLANNED_AT = datetime(2026, 11, 1, 8, tzinfo=UTC)
# As the task of the approval returns it.
GIVEN: dict[str, Any] = {
    "chosen_options": ["Approve"],
    "params_input": {"plan_id": PLAN},
    "responded_at": PLANNED_AT + timedelta(minutes=5),
    "responded_by_user": {"id": "7", "name": "alice"},
}


def why(given: object, **rules: Any) -> str | None:
    return refusal(Answer.of(given), PLAN, PLANNED_AT, Rules(**rules))


@pytest.mark.parametrize(
    "rules",
    [{}, {"approvers": ("7", "9")}, {"four_eyes": True, "triggered_by": "bob"}, {"triggered_by": "alice"}],
)
def test_an_approval_allows_the_plan(rules: dict[str, Any]) -> None:
    assert why(GIVEN, **rules) is None
    assert why(GIVEN | {"responded_at": GIVEN["responded_at"].isoformat()}, **rules) is None


@pytest.mark.parametrize(
    ("changed", "rules", "reason"),
    [
        ({"chosen_options": ["Reject"]}, {}, "The answer is Reject"),
        ({"chosen_options": []}, {}, "Nobody answered"),
        ({"chosen_options": ["Approve", "Reject"]}, {}, "Nobody answered"),
        ({"responded_by_user": None}, {}, "names no person"),
        ({"responded_by_user": {"id": "7", "name": ""}}, {}, "names no person"),
        ({"responded_at": PLANNED_AT}, {}, "not later than the plan"),
        ({"responded_at": "yesterday"}, {}, "not later than the plan"),
        ({"params_input": {"plan_id": OTHER}}, {}, f"for plan {OTHER}"),
        ({"params_input": {}}, {}, r"for plan \(none\)"),
        ({}, {"approvers": ("8",)}, "not among ECR_AUDIT_APPROVERS"),
        ({}, {"four_eyes": True, "triggered_by": "alice"}, "Another one has to"),
        ({}, {"four_eyes": True, "triggered_by": "7"}, "Another one has to"),
        ({}, {"four_eyes": True}, "unknown who triggered"),
    ],
)
def test_anything_else_is_refused_with_its_reason(changed: dict[str, Any], rules: dict[str, Any], reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(why(GIVEN | changed, **rules))


@pytest.mark.parametrize("given", [None, "Approve", [], {}, {"chosen_options": "Approve"}])
def test_a_task_that_was_marked_as_success_has_no_answer(given: object) -> None:
    assert str(why(given)).startswith("Nobody answered")


def test_the_lake_gets_no_e_mail_address() -> None:
    assert [person(name) for name in ("alice", "alice@example.com", None)] == ["alice", "alice", None]
