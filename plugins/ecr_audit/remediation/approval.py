"""Whether a person's answer allows a plan to be applied.

A succeeded approval task of Airflow is not a boundary: anybody who may edit task instances can mark it so.
Whoever applies a plan therefore asks this, with the answer itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ecr_audit.text import plain
from ecr_audit.written import EMAIL

APPROVE, REJECT = "Approve", "Reject"

# The field of the answer that names the plan: Airflow's form has it filled in.
PLAN_FIELD = "plan_id"


@dataclass(frozen=True)
class Answer:
    """An answer to a plan, as Airflow's human in the loop hands it over; None: that was not there, or not readable."""

    chosen: str | None = None
    plan_id: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    answered_at: datetime | None = None

    @classmethod
    def of(cls, given: object) -> Answer:
        """The answer in the return value of the approval's task; one without any content where that has none."""
        if not isinstance(given, Mapping):
            return cls()
        chosen, fields, user = (given.get(key) for key in ("chosen_options", "params_input", "responded_by_user"))
        user = user if isinstance(user, Mapping) else {}
        return cls(
            chosen=str(chosen[0]) if isinstance(chosen, Sequence) and len(chosen) == 1 else None,
            plan_id=_text(fields.get(PLAN_FIELD)) if isinstance(fields, Mapping) else None,
            user_id=_text(user.get("id")),
            user_name=_text(user.get("name")),
            answered_at=_time(given.get("responded_at")),
        )


@dataclass(frozen=True)
class Rules:
    """Who may approve: the settings, and the user whom Airflow knows to have triggered the run."""

    # Ids of users; empty: anybody who may edit the run in Airflow.
    approvers: Sequence[str] = ()
    four_eyes: bool = False
    triggered_by: str | None = None


def refusal(answer: Answer, plan_id: str, planned_at: datetime, rules: Rules) -> str | None:
    """Why a plan must not be applied, as a sentence; None: it may be.

    `plan_id` is the one recomputed from the lake, by `read_plan`.
    """
    if answer.chosen is None:
        return "Nobody answered: the task of the approval has no answer, whatever its state is."
    if answer.chosen != APPROVE:
        return f"The answer is {plain(answer.chosen)}, not {APPROVE}."
    if not answer.user_id or not answer.user_name:
        return "The answer names no person."
    if answer.answered_at is None or answer.answered_at <= planned_at:
        return "The answer is not later than the plan: the plan was made again since."
    if answer.plan_id != plan_id:
        return f"The answer is for plan {plain(answer.plan_id) or '(none)'}, not for {plan_id}."
    if rules.approvers and answer.user_id not in rules.approvers:
        return f"User {plain(answer.user_id)} is not among ECR_AUDIT_APPROVERS."
    if rules.four_eyes and not rules.triggered_by:
        return "ECR_AUDIT_FOUR_EYES: it is unknown who triggered the run. Trigger it as a user."
    if rules.four_eyes and rules.triggered_by in (answer.user_name, answer.user_id):
        return "ECR_AUDIT_FOUR_EYES: the person who triggered the run approved it, too. Another one has to."
    return None


def person(name: str | None) -> str | None:
    """A user's name for the lake, which holds no e-mail address: of one that is, the part before the @."""
    if name is None:
        return None
    return plain(name.partition("@")[0] if EMAIL.search(name) else name)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _time(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
