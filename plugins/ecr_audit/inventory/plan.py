"""Planning a scan: the organization's accounts, every account x region, and the batches they are cut into."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ecr_audit.aws.organization import ACTIVE, list_accounts_and_units, organization_id
from ecr_audit.aws.regions import Region, region_of
from ecr_audit.aws.session import Hub
from ecr_audit.inventory.batches import assign_batches
from ecr_audit.inventory.last_known import keep_last_known_details, known_accounts
from ecr_audit.inventory.missing import LeftOut, Missing, named_in_vain, nearest, not_a_region, not_an_account
from ecr_audit.inventory.plan_files import (
    TARGET_KEY,
    TARGETS,
    Plan,
    PlanError,
    read_plan,
    read_plan_table,
    with_notes,
    write_plan,
    write_plan_table,
)
from ecr_audit.inventory.regions import known_regions, with_named
from ecr_audit.inventory.verification import one_row_a_key
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import ACCOUNTS, SCAN_TARGETS
from ecr_audit.lake.tables import Collected
from ecr_audit.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScanScope:
    """The limits of one run; empty: no limit. `ous`: paths (see `unit_paths`) or ids, with all below them."""

    accounts: Sequence[str] = ()
    ous: Sequence[str] = ()
    regions: Sequence[str] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) for each in fields(self))


def discover(lake: Lake, hub: Hub, *, snapshot_date: date, run_id: str, scope: ScanScope) -> Plan:
    """Read the organization's accounts and regions, and start a plan with them.

    Raises HubError, for the tree of units only while no units are known; and PlanError when the lake holds the
    snapshots of another organization, which this one would make look closed down.
    """
    plan = Plan(
        plan_id=f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:6]}",
        snapshot_date=snapshot_date,
        run_id=run_id,
        organization_id=organization_id(hub),
        hub_account_id=hub.account_id,
        partition=hub.partition,
        limited=bool(scope),
    )
    _require_same_organization(lake, plan)
    listed = list_accounts_and_units(hub)
    known_before = known_accounts(lake, snapshot_date)
    if listed.units_error:
        if not known_before:
            raise listed.units_error
        log.warning("%s The known units count.", listed.units_error)
    collected_at = datetime.now(UTC)
    accounts = [
        {
            "account_id": account.account_id,
            "account_name": account.name,
            "state": account.state,
            "ou_id": account.ou_id,
            "ou_path": account.ou_path,
            "unit_ids": account.unit_ids,
            "joined_at": account.joined_at,
            "collected_at": collected_at,
        }
        for account in listed.accounts
    ]
    accounts = keep_last_known_details(accounts, known_before)
    write_plan_table(lake, plan, "accounts.parquet", pa.Table.from_pylist(accounts, schema=ACCOUNTS.schema))
    # After the accounts: by that sql/marts/unread_values.sql knows which night read them.
    known = known_regions(lake, hub, snapshot_date)
    plan = replace(
        plan,
        regions={region.name: region.opt_in for region in known.regions},
        regions_read_at=known.read_at.isoformat() if known.read_at else None,
        regions_error=known.error,
        units_error=str(listed.units_error) if listed.units_error else None,
    )
    write_plan(lake, plan)
    return plan


def cut_batches(lake: Lake, hub: Hub, plan_id: str, settings: Settings, scope: ScanScope) -> list[int]:
    """Plan every wanted account x region and cut the active accounts into batches; returns the batches' numbers.

    There is always a batch, which is empty when no account is active: what follows it has to run all the same. What the
    settings name and AWS does not have, and what they leave out, is kept with the targets (`read_missing`,
    `read_left_out`). Raises PlanError for an account, unit or region of the run's own limits that does not exist, and
    when a setting names nothing that does.
    """
    plan = read_plan(lake, plan_id)
    accounts = read_plan_table(lake, plan, "accounts.parquet")
    offered = [Region(name, opt_in) for name, opt_in in plan.regions.items()]
    is_certain = plan.regions_error is None
    if not is_certain:
        offered = with_named(offered, hub, scope.regions)
    regions, missing_regions = wanted_regions(offered, settings, scope, hub.partition, is_certain=is_certain)
    wanted, missing_accounts = _wanted_accounts(accounts, settings, scope)
    missing = Missing(missing_accounts, missing_regions)
    for sentence in missing.sentences():
        log.warning("%s", sentence)
    active = [row["account_id"] for row in wanted if row["state"] == ACTIVE]
    last = _last_scan(lake, plan.snapshot_date)
    batch_of = assign_batches(active, _calls_by_account(last), settings.batch_accounts, len(regions))
    targets = pa.Table.from_pylist(
        [
            {
                "account_id": row["account_id"],
                "region": region.name,
                "opt_in": region.opt_in,
                "batch": batch_of.get(row["account_id"]),
            }
            for row in wanted
            for region in regions
        ],
        schema=TARGETS,
    )
    durations = last.select([*TARGET_KEY, "duration_ms"]).rename_columns({"duration_ms": "last_duration_ms"})
    # A join keeps no order.
    targets = targets.join(durations, TARGET_KEY).sort_by([(column, "ascending") for column in TARGET_KEY])
    left_out = LeftOut.by(settings, accounts["account_id"].to_pylist(), (region.name for region in offered))
    collected = Collected(settings.collect, settings.collect_rotation_nights, settings.image_tags)
    write_plan_table(lake, plan, "targets.parquet", with_notes(targets, missing, left_out, collected))
    return sorted(set(batch_of.values())) or [0]


def _require_same_organization(lake: Lake, plan: Plan) -> None:
    dates = lake.snapshot_dates("inventory")
    newest = lake.read_commit("inventory", dates[-1]) if dates else None
    if newest and newest.detail("organization_id") != plan.organization_id:
        raise PlanError(
            f"ECR_AUDIT_LAKE: {lake.root} holds the snapshots of organization {newest.details['organization_id']}, the "
            f"hub account {plan.hub_account_id} belongs to {plan.organization_id}. Give each organization its own "
            "ECR_AUDIT_DATA."
        )


def wanted_regions(
    offered: Sequence[Region], settings: Settings, scope: ScanScope, partition: str, *, is_certain: bool
) -> tuple[list[Region], list[str]]:
    """The regions that the settings and the run ask for, and what ECR_AUDIT_REGIONS names that is not offered.

    When it is not certain which are offered, because EC2 did not return them, the setting is trusted. Raises
    PlanError for a region of the run's own limits that is not offered, and when the setting names none that is.
    """
    known = {region.name: region for region in offered}
    if not is_certain:
        known |= {name: region_of(name, partition) for name in settings.regions if name not in known}
    missing = named_in_vain(settings.regions, known)
    for name in scope.regions:
        if name not in known:
            raise PlanError(f"the run's regions: {not_a_region(name, known, partition)}")
    if settings.regions and len(missing) == len(set(settings.regions)):
        raise PlanError(f"ECR_AUDIT_REGIONS: {not_a_region(missing[0], known, partition)}")
    chosen = (set(settings.regions) - set(missing) or set(known)) & set(scope.regions or known)
    if not chosen:
        raise PlanError("The run's regions and ECR_AUDIT_REGIONS have no region in common.")
    return [known[name] for name in sorted(chosen)], missing


def missing_accounts(settings: Settings, known: Iterable[str]) -> list[str]:
    """Accounts in ECR_AUDIT_ACCOUNTS that are not in the organization. Raises PlanError if none of them is."""
    known = set(known)
    missing = named_in_vain(settings.accounts, known)
    if settings.accounts and len(missing) == len(set(settings.accounts)):
        raise PlanError(f"ECR_AUDIT_ACCOUNTS: {not_an_account(missing[0], known)}")
    return missing


def _wanted_accounts(
    accounts: pa.Table, settings: Settings, scope: ScanScope
) -> tuple[list[dict[str, Any]], list[str]]:
    """The accounts that the settings and the run ask for, and what ECR_AUDIT_ACCOUNTS names that is not there."""
    rows = accounts.to_pylist()
    known = {row["account_id"] for row in rows}
    missing = missing_accounts(settings, known)
    for account_id in scope.accounts:
        if account_id not in known:
            raise PlanError(f"the run's accounts: {not_an_account(account_id, known)}")
    for unit in scope.ous:
        if not any(_is_within(row, unit) for row in rows):
            paths = sorted({row["ou_path"] for row in rows if row["ou_path"]})
            raise PlanError(f"the run's OUs: '{unit}' holds no account.{nearest(unit, paths)}")
    wanted = [
        row
        for row in rows
        if (not settings.accounts or row["account_id"] in settings.accounts)
        and (not scope.accounts or row["account_id"] in scope.accounts)
        and (not scope.ous or any(_is_within(row, unit) for unit in scope.ous))
    ]
    if not wanted:
        raise PlanError("The run's accounts, its OUs and ECR_AUDIT_ACCOUNTS have no account in common.")
    return wanted, missing


def _is_within(account: dict[str, Any], unit: str) -> bool:
    path = account["ou_path"] or ""
    return unit in account["unit_ids"] or path == unit or path.startswith(f"{unit}/")


def _last_scan(lake: Lake, snapshot_date: date) -> pa.Table:
    """The cost of each target when it was last scanned."""
    commit = lake.previous_commit("inventory", snapshot_date)
    if commit is None:
        return SCAN_TARGETS.schema.empty_table()
    return one_row_a_key(SCAN_TARGETS.completed(lake.read_table(commit, SCAN_TARGETS)), SCAN_TARGETS)


def _calls_by_account(last: pa.Table) -> dict[str, int]:
    # The calls of a batch that was lost are not known; without any that are, the sum is 0.
    sums = last.group_by("account_id").aggregate([("api_calls", "sum", pc.ScalarAggregateOptions(min_count=0))])
    return dict(zip(sums["account_id"].to_pylist(), sums["api_calls_sum"].to_pylist(), strict=True))
