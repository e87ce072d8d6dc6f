"""The steps of remediation, as the tasks of the DAG call them: settings in, small values out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ecr_audit.aws.session import Hub
from ecr_audit.hidden_modules import hidden_modules
from ecr_audit.lake.lake import Lake, open_lake
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.store import newest
from ecr_audit.remediation import request
from ecr_audit.remediation.apply import apply_batch, failed_share
from ecr_audit.remediation.approval import Answer, Rules, refusal
from ecr_audit.remediation.journal import Journal
from ecr_audit.remediation.outcomes import ActionOutcome, count_outcomes
from ecr_audit.remediation.plan import CANARY, RemediationError, RemediationPlan, freeze
from ecr_audit.remediation.plan import read_plan as read_frozen_plan
from ecr_audit.remediation.proposal import Limits, chosen_policy, left_out, planned_rows, rollback_rows
from ecr_audit.remediation.record import record as record_plan
from ecr_audit.remediation.verify import verify as verify_plan
from ecr_audit.remediation.waived import waived_repositories
from ecr_audit.settings import Settings, load_settings
from ecr_audit.text import percent, plural

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A run of the DAG as its tasks know it: the plan's id, the answer as Airflow has it, and who triggered it."""

    run_id: str
    plan_id: str
    triggered_by: str | None
    answer: Any


def make_plan(params: Mapping[str, Any], pages: str) -> dict[str, str]:
    """Freeze a plan. Returns its id, and what a person is asked: subject and body.

    `pages`: the address of the audit's pages; empty if unknown. Raises RemediationError while remediation is off, and
    where the form leaves nothing to change.
    """
    settings = load_settings()
    if settings.remediation_role_name is None:
        raise RemediationError(
            "ECR_AUDIT_REMEDIATION_ROLE_NAME is not set, so remediation is off. docs/remediation.md says how to deploy"
            " the role."
        )
    lake = open_lake(settings)
    limits = Limits(params["accounts"], params["ous"], params["repositories"], params["at_most"] or 0)
    others: request.LeftOut = ()
    if earlier := params["rollback_of"]:
        rows = rollback_rows(lake, earlier, limits)
    else:
        with open_published(newest(settings).database) as published:
            policy_id = chosen_policy(published, params["policy"])
            rows, others = planned_rows(published, policy_id, limits), left_out(published, policy_id)
    plan = freeze(
        lake,
        rows,
        planned_at=datetime.now(UTC),
        canary_accounts=settings.remediation_canary_accounts,
        batch_accounts=settings.batch_accounts,
    )
    asked = {
        "subject": request.subject(plan),
        "body": request.body(plan, others, f"{pages}/remediation" if pages else ""),
    }
    log.info("%s\n%s", asked["subject"], asked["body"])
    return {"plan_id": plan.plan_id, **asked}


@hidden_modules("pandas")
def apply_canary(hub: Hub, run: Run) -> list[int]:
    """Write the settings of the canary. Returns the other batches.

    Raises RemediationError as `apply` does, and when more of them failed than ECR_AUDIT_REMEDIATION_MAX_FAILED allows.
    """
    apply(hub, run, CANARY)
    settings = load_settings()
    lake = open_lake(settings)
    plan = read_frozen_plan(lake, run.plan_id)
    _require_canary(Journal(lake, plan.plan_id), plan, settings)
    return [batch for batch in plan.batches if batch != CANARY]


@hidden_modules("pandas")
def apply(hub: Hub, run: Run, batch: int) -> str:
    """Write the settings of a batch, if a person approved the plan. Returns a sentence on what became of them.

    Raises RemediationError, with nothing written, for an answer that does not allow it (`approval.refusal`), for a
    plan whose rows were changed in the lake, and for a batch whose canary failed.
    """
    settings = load_settings()
    lake = open_lake(settings)
    plan = _approved(lake, run, settings)
    journal = Journal(lake, plan.plan_id)
    if batch != CANARY:
        _require_canary(journal, plan, settings)
    now = datetime.now(UTC)
    # A waiver of a finding says nothing about a rollback that a person wants.
    waived = set() if plan.rollback_of else waived_repositories(lake, settings, plan.policy_id, now.date())
    outcomes = apply_batch(journal, hub, plan, batch, settings, run.run_id, waived)
    message = f"Batch {batch} of plan {plan.plan_id}: {_sentence(outcomes)}"
    log.info("%s", message)
    return message


@hidden_modules("pandas")
def verify(hub: Hub, run: Run) -> None:
    """Read again what was written, or may have been."""
    settings = load_settings()
    lake = open_lake(settings)
    plan = read_frozen_plan(lake, run.plan_id)
    verify_plan(Journal(lake, plan.plan_id), hub, plan, settings, run.run_id)


@hidden_modules("pandas")
def record(run: Run) -> dict[str, Any]:
    """Commit the answer and the outcomes. Returns the accounts in which something was written, and the outcomes."""
    settings = load_settings()
    lake = open_lake(settings)
    plan = read_frozen_plan(lake, run.plan_id)
    actions = record_plan(lake, plan, Answer.of(run.answer), _rules(run, settings), run.run_id)
    outcomes = [action["outcome"] for action in actions]
    log.info("Recorded plan %s: %s", plan.plan_id, _sentence(outcomes))
    written = {action["account_id"] for action in actions if action["outcome"] in _WRITTEN}
    return {"accounts": sorted(written), "outcomes": {str(each): n for each, n in count_outcomes(outcomes).items()}}


_WRITTEN = (ActionOutcome.DONE, ActionOutcome.DIFFERS)


def _approved(lake: Lake, run: Run, settings: Settings) -> RemediationPlan:
    plan = read_frozen_plan(lake, run.plan_id)
    refused = refusal(Answer.of(run.answer), plan.plan_id, plan.planned_at, _rules(run, settings))
    if refused:
        raise RemediationError(f"Plan {plan.plan_id} is not applied. {refused}")
    return plan


def _rules(run: Run, settings: Settings) -> Rules:
    return Rules(settings.approvers, settings.four_eyes, run.triggered_by)


def _require_canary(journal: Journal, plan: RemediationPlan, settings: Settings) -> None:
    canary = plan.batch(CANARY)
    entries = journal.read(canary)
    outcomes = [
        (entry.outcome if (entry := entries.get(change.number)) else None) or ActionOutcome.NOT_REACHED
        for change in canary
    ]
    share, most = 100 * failed_share(outcomes), 100 * settings.remediation_max_failed
    if ActionOutcome.NOT_REACHED in outcomes:
        raise RemediationError(f"Plan {plan.plan_id}: the canary is not through. {_sentence(outcomes)}")
    if share > most:
        raise RemediationError(
            f"Plan {plan.plan_id}: the canary failed, so that no other account is changed. {_sentence(outcomes)}"
            f" ({percent(share, most)} failed; ECR_AUDIT_REMEDIATION_MAX_FAILED allows {percent(most, share)})"
        )


def _sentence(outcomes: list[Any]) -> str:
    counted = ", ".join(f"{number:,} {outcome}" for outcome, number in count_outcomes(outcomes).items())
    return f"{plural(len(outcomes), 'repository', 'repositories')}: {counted}." if outcomes else "Nothing was written."
