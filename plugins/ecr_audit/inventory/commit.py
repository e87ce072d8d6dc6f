"""Make one snapshot of a plan's parts: every planned target with exactly one outcome, no known repository missing.

The batches are runs of accounts in the order of their ids. So the tables are written sorted, batch after batch, and no
more than one batch is in memory.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ecr_audit.aws.advice import distinct_advice
from ecr_audit.aws.ecr.facets import FACETS, REGISTRY_FACET
from ecr_audit.aws.outcomes import NOT_COUNTABLE, UNREAD, Outcome
from ecr_audit.errors import FinalError
from ecr_audit.inventory.last_known import completed_repositories, keep_last_known, last_known_commit
from ecr_audit.inventory.parts import read_part
from ecr_audit.inventory.plan_files import Plan, read_collected, read_left_out, read_missing, read_plan, read_plan_table
from ecr_audit.inventory.rows import ScannedRows
from ecr_audit.inventory.verification import Refusals, one_row_a_key
from ecr_audit.lake.commits import FACETS as FACETS_DETAIL
from ecr_audit.lake.commits import IMAGE_TAGS, INVENTORY_CHECKS, ROTATION_NIGHTS, Commit
from ecr_audit.lake.lake import PARQUET_OPTIONS, PARTS, ROW_GROUP_ROWS, Lake, SnapshotWriter
from ecr_audit.lake.schemas import ACCOUNTS, REGISTRIES, REPOSITORIES, SCAN_TARGETS
from ecr_audit.lake.tables import LakeTable

if TYPE_CHECKING:
    import pyarrow.dataset as ds

log = logging.getLogger(__name__)

_OUTCOME = ("account_id", "region", "outcome")


class NothingCollectedError(FinalError):
    """No account but the hub's own could be read, or no account has a region to read: a fault of the audit's set-up."""


def commit_snapshot(lake: Lake, plan_id: str) -> Commit:
    """Commit the plan's parts as the snapshot of its date, replacing an earlier one of that date.

    - Targets of a batch that left no part are FAILED.
    - Repositories and registries of targets that were not collected are carried over, `observed` = false, from the
      newest snapshot.
    - Values of facets that were not read stay as they are in it, with when they were read.
    - Targets whose rows a check refuses are FAILED: see `Refusals`.
    - A limited run changes only what it planned; the rest stays as an earlier snapshot of the same date has it.

    Raises NothingCollectedError, with yesterday's state left as it is, when no member account could be read, or when a
    whole night finds nothing that it could read although accounts are active; and CheckError, likewise, when a check
    refuses what cannot be left out.
    """
    plan = read_plan(lake, plan_id)
    planned = read_plan_table(lake, plan, "targets.parquet")
    missing, left_out, collected = read_missing(planned), read_left_out(planned), read_collected(planned)
    refusals = Refusals()
    checks = None
    with _Base.opened(lake, plan) as base, lake.writer("inventory", plan.snapshot_date) as writer:
        writer.write(ACCOUNTS, one_row_a_key(read_plan_table(lake, plan, "accounts.parquet"), ACCOUNTS))
        while checks is None:
            lost, tally = _write_scanned_tables(lake, plan, planned, base, refusals, writer)
            checks = refusals.examine(writer)
        _require_something_collected(plan, tally)
        details = {
            "plan_id": plan_id,
            "run_id": plan.run_id,
            "organization_id": plan.organization_id,
            "hub_account_id": plan.hub_account_id,
            "limited": plan.limited,
            "lost_batches": lost,
            "regions": plan.regions,
            "regions_read_at": plan.regions_read_at,
            "regions_error": plan.regions_error,
            "units_error": plan.units_error,
            INVENTORY_CHECKS: checks,
            FACETS_DETAIL: list(collected.facets),
            ROTATION_NIGHTS: collected.rotation_nights,
            IMAGE_TAGS: collected.image_tags,
            "missing_accounts": list(missing.accounts),
            "missing_regions": list(missing.regions),
            "left_out_accounts": list(left_out.accounts),
            "left_out_regions": list(left_out.regions),
        }
        commit = writer.commit(details)
    _remove_older_plans(lake, plan_id)
    return commit


def _remove_older_plans(lake: Lake, plan_id: str) -> None:
    """Remove the parts of older plans, and what steps of theirs that were killed left half written.

    Both are in folders named after their plan, and plan ids begin with their time. This plan's own parts stay: a batch
    can still be cleared and scanned again.
    """
    storage = lake.storage
    for place in (PARTS, "_scratch"):
        for folder in storage.folders(place):
            if folder < plan_id:
                storage.remove_folder(f"{place}/{folder}")
    # Where versions of the lake's schema before 6 kept parts.
    if storage.folders("_staging"):
        storage.remove_folder("_staging")


@dataclass(frozen=True)
class _Base:
    """The earlier snapshot that unseen repositories and registries are carried over from."""

    repositories: ds.Dataset | None
    targets: pa.Table
    registries: pa.Table
    # The base is of the same date and the run limited: targets that it did not plan stay as they are.
    keeps_unplanned: bool

    @classmethod
    @contextmanager
    def opened(cls, lake: Lake, plan: Plan) -> Iterator[_Base]:
        """The base of a plan, which can be read until the block ends."""
        commit = last_known_commit(lake, plan.snapshot_date)
        if commit is None:
            yield cls(None, SCAN_TARGETS.schema.empty_table(), REGISTRIES.schema.empty_table(), False)
            return
        targets = SCAN_TARGETS.completed(lake.read_table(commit, SCAN_TARGETS))
        registries = (
            lake.read_table(commit, REGISTRIES)
            if REGISTRIES.since <= commit.schema_version
            else REGISTRIES.schema.empty_table()
        )
        keeps_unplanned = plan.limited and commit.snapshot_date == plan.snapshot_date
        # Copies on the disk, of a lake on S3: they are read in as many slices as there are batches.
        import pyarrow.dataset as ds  # late: it imports pandas, unless a step hides that

        with lake.local_table(commit, REPOSITORIES) as files:
            yield cls(ds.dataset(list(files.paths), format="parquet"), targets, registries, keeps_unplanned)

    def slice(self, first: str, following: str | None) -> ScannedRows:
        """The known rows of the accounts from `first` up to, but without, `following`."""
        within = pc.field("account_id") >= first
        if following is not None:
            within &= pc.field("account_id") < following
        repositories = (
            REPOSITORIES.schema.empty_table()
            if self.repositories is None
            else completed_repositories(self.repositories.to_table(filter=within))
        )
        return ScannedRows(self.targets.filter(within), repositories, self.registries.filter(within))


@dataclass
class _Tally:
    """The outcomes of the planned targets."""

    # How many targets each (account, outcome) has.
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    # How many targets that should have been read each (outcome, error code) has, and one of their messages.
    errors: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    messages: dict[tuple[str, str | None], str | None] = field(default_factory=dict)

    def add(self, targets: pa.Table) -> None:
        self.outcomes.update(zip(targets["account_id"].to_pylist(), targets["outcome"].to_pylist(), strict=True))
        unread = targets.filter(pc.is_in(targets["outcome"], value_set=pa.array(sorted(UNREAD), pa.string())))
        groups = unread.group_by(["outcome", "error_code"])
        for row in groups.aggregate([("error_message", "max"), ("account_id", "count")]).to_pylist():
            error = (row["outcome"], row["error_code"])
            self.errors[error] += row["account_id_count"]
            self.messages.setdefault(error, row["error_message_max"])


def _write_scanned_tables(
    lake: Lake, plan: Plan, all_planned: pa.Table, base: _Base, refusals: Refusals, writer: SnapshotWriter
) -> tuple[list[int], _Tally]:
    """Write the tables of what was scanned; returns the lost batches, and the outcomes of the planned targets."""
    lost: list[int] = []
    tally = _Tally()
    wanted = read_collected(all_planned).facets
    with (
        _table_file(writer, SCAN_TARGETS) as write_targets,
        _table_file(writer, REPOSITORIES) as write_repositories,
        _table_file(writer, REGISTRIES) as write_registries,
    ):
        for planned, first, following in _account_ranges(all_planned):
            scanned, lost_here = _collected(lake, plan, planned)
            scanned = refusals.without_scanned(scanned)
            lost += lost_here
            targets = scanned.targets
            tally.add(targets)
            known = refusals.without_known(base.slice(first, following))
            if base.keeps_unplanned:
                targets = pa.concat_tables([targets, _without(known.targets, planned)])
                targets = pa.concat_tables([targets, _never_planned(targets, [all_planned, base.targets])])
            write_targets(targets)
            repositories = _with_last_known(scanned.repositories, known.repositories, REPOSITORIES, wanted)
            write_repositories(
                pa.concat_tables([repositories, *_carried_over(known.repositories, targets, planned, base)])
            )
            registries = _with_last_known(scanned.registries, known.registries, REGISTRIES, wanted)
            # A registry without repositories has no row: neither has one whose last known repositories are gone.
            write_registries(pa.concat_tables([registries, *_carried_over(known.registries, targets, planned, base)]))
    return lost, tally


@contextmanager
def _table_file(writer: SnapshotWriter, table: LakeTable) -> Iterator[Callable[[pa.Table], None]]:
    """A function that adds rows to the file of a table, one row of each key."""
    with pq.ParquetWriter(writer.path(table), table.schema, **PARQUET_OPTIONS) as file:
        yield lambda rows: file.write_table(one_row_a_key(rows, table), row_group_size=ROW_GROUP_ROWS)


def _account_ranges(planned: pa.Table) -> Iterator[tuple[pa.Table, str, str | None]]:
    """The planned targets cut at the batches' first accounts, with the range of account ids that each piece covers.

    Inactive accounts, which are in no batch, and accounts that are no longer planned, fall into the range they lie in.
    """
    firsts = (
        planned.filter(pc.field("batch").is_valid())
        .group_by("batch")
        .aggregate([("account_id", "min")])
        .sort_by("batch")
    )
    bounds: list[str] = ["", *firsts["account_id_min"].to_pylist()[1:]]
    for first, following in zip(bounds, [*bounds[1:], None], strict=True):
        within = pc.field("account_id") >= first
        if following is not None:
            within &= pc.field("account_id") < following
        yield planned.filter(within), first, following


def _collected(lake: Lake, plan: Plan, planned: pa.Table) -> tuple[ScannedRows, list[int]]:
    """The scanned rows of some planned targets, from their parts; a target without a part gets its outcome."""
    parts = [ScannedRows(*(table.schema.empty_table() for table in (SCAN_TARGETS, REPOSITORIES, REGISTRIES)))]
    lost = []
    for batch in sorted(set(planned["batch"].drop_null().to_pylist())):
        part = read_part(lake, plan, batch)
        if part is None:
            log.warning("Batch %d wrote no results: its targets are FAILED", batch)
            lost.append(batch)
            continue
        parts.append(part)
    targets, repositories, registries = (pa.concat_tables(tables) for tables in zip(*parts, strict=True))
    unscanned = _without(planned, targets)
    rows = [
        {"account_id": row["account_id"], "region": row["region"], **_outcome_without_scan(row["batch"])}
        for row in unscanned.to_pylist()
    ]
    targets = pa.concat_tables([targets, pa.Table.from_pylist(rows, schema=SCAN_TARGETS.schema)])
    return ScannedRows(targets, repositories, registries), lost


def _outcome_without_scan(batch: int | None) -> dict[str, object]:
    if batch is None:
        return {"outcome": Outcome.ACCOUNT_INACTIVE.value, "api_calls": 0, "retries": 0, "throttles": 0}
    # The calls of the batch before it ended were not counted: null, not 0.
    message = f"Batch {batch} ended without writing its results; see the log of its scan_accounts task"
    return {"outcome": Outcome.FAILED.value, "error_code": "BatchLost", "error_message": message}


def _with_last_known(rows: pa.Table, known: pa.Table, table: LakeTable, wanted: Sequence[str]) -> pa.Table:
    """Rows that were read, with the known values of the facets of their table that were not.

    Where a facet is not wanted (ECR_AUDIT_COLLECT) none are kept.
    """
    arn = "registry_arn" if table is REGISTRIES else "repository_arn"
    for declaration in FACETS:
        if declaration.facet in wanted and (declaration is REGISTRY_FACET) == (table is REGISTRIES):
            rows = keep_last_known(rows, known, declaration, arn)
    return rows


def _never_planned(targets: pa.Table, planned: Sequence[pa.Table]) -> pa.Table:
    """The targets that no run of the day has planned, though one has planned their account and one their region.

    Limited runs add up to such gaps, and so does an account that joined since. Targets not read are FAILED, except
    an inactive account.
    """
    regions = {region for each in planned for region in each["region"].unique().to_pylist()}
    outcomes: dict[str, dict[str, str]] = {}
    for account_id, region, outcome in zip(*(targets[name].to_pylist() for name in _OUTCOME), strict=True):
        outcomes.setdefault(account_id, {})[region] = outcome
    message = "No run of this day planned it; a run without limits does"
    failed = {"outcome": Outcome.FAILED.value, "error_code": "NeverPlanned", "error_message": message}
    rows = [
        {"account_id": account_id, "region": region}
        | (_outcome_without_scan(None) if set(known.values()) == {Outcome.ACCOUNT_INACTIVE} else failed)
        for account_id, known in outcomes.items()
        for region in regions - known.keys()
    ]
    return pa.Table.from_pylist(rows, schema=SCAN_TARGETS.schema)


def _carried_over(old: pa.Table, targets: pa.Table, planned: pa.Table, base: _Base) -> list[pa.Table]:
    """Known rows that this run did not read: unseen ones, and those outside the limits of the run."""
    collected = targets.filter(pc.field("outcome") == Outcome.COLLECTED.value)
    if not base.keeps_unplanned:
        return [_unobserved(_without(old, collected))]
    return [_without(old, planned), _unobserved(_without(_semi(old, planned), collected))]


def _unobserved(rows: pa.Table) -> pa.Table:
    column = rows.schema.get_field_index("observed")
    return rows.set_column(column, "observed", pa.array([False] * rows.num_rows, pa.bool_()))


def _require_something_collected(plan: Plan, tally: _Tally) -> None:
    countable = {key: number for key, number in tally.outcomes.items() if key[1] not in NOT_COUNTABLE}
    active = {account for account, outcome in tally.outcomes if outcome != Outcome.ACCOUNT_INACTIVE}
    if active and not countable and not plan.limited:
        raise NothingCollectedError(
            f"None of {len(active):,} active accounts has enabled an audited region; nothing is committed."
            " Check ECR_AUDIT_REGIONS: 'all' audits every region."
        )
    members = {key: number for key, number in countable.items() if key[0] != plan.hub_account_id} or countable
    if members and not any(outcome == Outcome.COLLECTED for _, outcome in members):
        counts = Counter[str]()
        for (_, outcome), number in members.items():
            counts[outcome] += number
        outcomes = ", ".join(f"{number} {outcome}" for outcome, number in counts.most_common())
        met = ((*error, tally.messages[error]) for error, _ in tally.errors.most_common())
        advice = [f"{about}: {each.meaning} {each.what_to_do}" for about, each in distinct_advice(met)]
        raise NothingCollectedError(
            f"No target of a member account was collected ({outcomes}); nothing is committed. {' '.join(advice)}"
        )


def _without(table: pa.Table, targets: pa.Table) -> pa.Table:
    """The rows whose account x region is not among the targets."""
    return table.filter(pc.invert(_among(table, targets)))


def _semi(table: pa.Table, targets: pa.Table) -> pa.Table:
    """The rows whose account x region is among the targets."""
    return table.filter(_among(table, targets))


def _among(table: pa.Table, targets: pa.Table) -> pa.ChunkedArray:
    return pc.is_in(_target_keys(table), value_set=_target_keys(targets))


def _target_keys(table: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(table["account_id"], table["region"], "/")
