"""A small lake that a test fills by hand, day by day, and has evaluated by a catalog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa

from ecr_audit.aws.ecr.image_tags import TagRead
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.catalog import Catalog, waivers
from ecr_audit.compliance import KnownWaivers, Violation, evaluate, roll_up
from ecr_audit.image_tags.history import commit_tags
from ecr_audit.image_tags.parts import write_part
from ecr_audit.image_tags.plan import make_plan
from ecr_audit.lake.commits import INVENTORY_CHECKS, Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import (
    ACCOUNTS,
    POLICY_OUTPUT,
    REGISTRIES,
    REMEDIATION_ACTIONS,
    REMEDIATION_APPROVALS,
    REPOSITORIES,
    ROLLED_UP,
    SCAN_TARGETS,
    TAG_MOVES,
)
from ecr_audit.lake.snapshot import (
    fetch_history,
    fetch_image_tags,
    fetch_remediation,
    fetch_snapshot,
    fetch_stage,
    fetch_tag_actors,
    fetch_tag_moves,
    read_image_tags,
)
from ecr_audit.publish import remediation_plan
from ecr_audit.publish.database import HISTORIES, readings
from ecr_audit.publish.tables import TABLES
from ecr_audit.settings import RemediationSettings, Settings
from ecr_audit.vocabulary import ImageTags
from ecr_audit.warehouse.checks import inventory_checks
from ecr_audit.warehouse.session import Warehouse, open_warehouse
from ecr_audit.warehouse.statements import parse_statement, read_statement
from support.lakes import committed
from support.units import unit_id

Rows = Sequence[dict[str, Any]]

ACCOUNT = {"account_id": "111111111111", "account_name": "shop", "state": "ACTIVE", "ou_path": "Root/Prod"}
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
# As the commit of a real night has it: its own checks (tests/sql/test_checks.py) are not for evaluating to repeat.
CHECKED = {INVENTORY_CHECKS: [check.name for check in inventory_checks()]}
# Published tables that marts read, each after those that it reads itself.
READ_BY_MARTS = ("tag_moves", "repository_image_tags", remediation_plan.TABLE, "findings", "findings_history")
COMMITTED = {table.name: table for table in (POLICY_OUTPUT, *ROLLED_UP)}


class SmallLake:
    """A lake, a catalog, and the steps of both DAGs on them."""

    def __init__(self, root: Path, catalog: Catalog) -> None:
        self.lake = Lake(str(root))
        self.catalog = catalog
        self.owner_tags = ("owner",)
        self.waivers = waivers.SCHEMA.empty_table()
        # Those of an earlier night, when the file cannot be read.
        self.waivers_unread: KnownWaivers | None = None

    def scan(
        self,
        day: date,
        *,
        repositories: Rows = (),
        accounts: Rows = (),
        scan_targets: Rows = (),
        registries: Rows = (),
        details: Mapping[str, Any] | None = None,
    ) -> Commit:
        """Commit an inventory. Rows name only the columns that matter; `details` are what the commit notes.

        Without accounts there is one, `shop`. Every account has every region that a row names; a target that no row
        describes was COLLECTED, or in an account that is not active, ACCOUNT_INACTIVE. A unit's id follows from its
        path (`unit_id`), unless a row gives `unit_ids`.
        """
        account_rows = [_account(row) for row in accounts or [{}]]
        repository_rows = [_repository(row, day) for row in repositories]
        targets = _targets(account_rows, repository_rows, scan_targets)
        registry_rows = [_registry(row, day) for row in registries]
        with self.lake.writer("inventory", day) as writer:
            written = (
                (ACCOUNTS, account_rows),
                (SCAN_TARGETS, targets),
                (REPOSITORIES, repository_rows),
                (REGISTRIES, registry_rows),
            )
            for table, rows in written:
                writer.write(table, pa.Table.from_pylist(list(rows), schema=table.schema))
            return writer.commit(CHECKED | dict(details or {}))

    def evaluate(self, day: date) -> tuple[Commit, list[Violation]]:
        """Both evaluating tasks, one after the other."""
        run_time = datetime.combine(day, time(3), UTC)
        waivers = KnownWaivers(self.waivers, run_time) if self.waivers_unread is None else self.waivers_unread
        evaluate(self.lake, self.catalog, day, owner_tags=self.owner_tags, run_time=run_time)
        return roll_up(self.lake, self.catalog, day, waivers=waivers)

    def night(self, day: date, *, image_tags: Rows | None = None, **rows: Any) -> None:
        """Scan a night of the given rows, and evaluate it; read image tags, if given."""
        self.scan(day, **rows)
        self.evaluate(day)
        if image_tags is not None:
            self.read_tags(day, image_tags)

    def read_tags(self, day: date, image_tags: Rows, read_at: datetime | None = None) -> Commit:
        """Read the image tags of a scanned day, at four if not at another time, and commit them.

        A row has the `tags` of a repository (digest by tag), or an `outcome`; a repository without one was not reached.
        """
        plan = make_plan(self.lake, day, Settings(image_tags=ImageTags.ALL, owner_tags=self.owner_tags))
        with write_part(self.lake, plan, 0) as part:
            for row in image_tags:
                repository = _repository({name: row[name] for name in row if name not in ("tags", "outcome")}, day)
                read = TagRead(repository["repository_name"], dict(row.get("tags", {})), 1)
                read.read_at = read_at or datetime.combine(day, time(4), UTC)
                read.end(Outcome(row.get("outcome", "COLLECTED")))
                part.add(repository["account_id"], [(repository["repository_arn"], read)])
        return commit_tags(self.lake, day, retention_days=400)

    def remediate(self, day: date, actions: Rows) -> None:
        """Record changes that approved plans made to repositories, at nine if a row has no other time."""
        full = []
        for row in actions:
            usual = {"plan_id": "plan-1", "approver": "ann", "outcome": "DONE"}
            names = {name: row[name] for name in row if name in ("account_id", "region", "repository_name")}
            repository = {k: v for k, v in _repository(names, day).items() if k in REMEDIATION_ACTIONS.schema.names}
            full.append(usual | repository | {"acted_at": datetime.combine(day, time(9), UTC)} | row)
        with self.lake.writer("remediation", day) as writer:
            writer.write(REMEDIATION_ACTIONS, pa.Table.from_pylist(full, schema=REMEDIATION_ACTIONS.schema))
            writer.write(REMEDIATION_APPROVALS, REMEDIATION_APPROVALS.schema.empty_table())
            writer.commit({})

    @contextmanager
    def opened(
        self, day: date, *, owner_tags: tuple[str, ...] = (), evaluated: Commit | None = None
    ) -> Iterator[Warehouse]:
        """A session over the inventory of a day; where it was `evaluated`, with its verdicts and histories up to it."""
        tags_date = evaluated.image_tags_date if evaluated else None
        image_tags = read_image_tags(self.lake, tags_date) if tags_date else None
        with (
            fetch_snapshot(self.lake, day, purpose="test", image_tags=image_tags) as snapshot,
            open_warehouse(snapshot, self.catalog, owner_tags=owner_tags) as warehouse,
        ):
            if evaluated:
                dates = [each for each in self.lake.snapshot_dates("compliance") if each <= day]
                commits = self.lake.read_commits("compliance", dates)
                histories = [fetch_history(self.lake, table, commits, snapshot.folder) for table in HISTORIES]
                histories += fetch_remediation(self.lake, day, snapshot.folder)
                for fetch in (fetch_tag_moves, fetch_tag_actors):
                    histories.append(fetch(self.lake, date.min, tags_date or date.min, snapshot.folder))
                known_tags = fetch_image_tags(self.lake, image_tags, snapshot.folder)
                evaluated_tables = fetch_stage(self.lake, evaluated, "compliance", snapshot.folder)
                for given in (*evaluated_tables, *histories, known_tags):
                    warehouse.register_input(given)
                warehouse.set_variable("image_tags_known", bool(known_tags.snapshots))
            yield warehouse

    def rows(self, mart: str, day: date) -> list[dict[str, Any]]:
        """The rows of a mart on an evaluated day: as committed, or as publishing makes it."""
        if mart == TAG_MOVES.name:
            return list(self.lake.read_table(committed(self.lake, "image_tags", day), TAG_MOVES).to_pylist())
        commit = committed(self.lake, "compliance", day)
        if mart in COMMITTED:
            return list(self.lake.read_table(commit, COMMITTED[mart]).to_pylist())
        with self.opened(day, owner_tags=self.owner_tags, evaluated=commit) as warehouse:
            statement = read_statement(f"marts/{mart}")
            noted: dict[str, Any] = {"snapshot_date": day, **readings(committed(self.lake, "inventory", day), commit)}
            noted["image_tags_date"] = commit.details["image_tags_date"]
            # One mart reads another, as published before it.
            if "published." in statement.text:
                warehouse.connection.execute("ATTACH ':memory:' AS published")
                for published in READ_BY_MARTS[: READ_BY_MARTS.index(mart) if mart in READ_BY_MARTS else None]:
                    if published == remediation_plan.TABLE:
                        remediation_plan.stage_plan(warehouse, RemediationSettings(remediation_nights=1))
                    source = TABLES[published]
                    of_file = not source.startswith("FROM")
                    made_of = read_statement(source) if of_file else parse_statement(source, source)
                    warehouse.create_table(f"published.{published}", made_of, **noted)
            return list(warehouse.query(statement, **noted).to_pylist())


def _account(row: dict[str, Any]) -> dict[str, Any]:
    full = ACCOUNT | row
    steps = full["ou_path"].split("/") if full["ou_path"] else []
    ids = full.get("unit_ids") or [unit_id("/".join(steps[: depth + 1])) for depth in range(len(steps))]
    return {"ou_id": ids[-1] if ids else None} | full | {"unit_ids": ids}


def _repository(row: dict[str, Any], day: date) -> dict[str, Any]:
    full = {
        "account_id": ACCOUNT["account_id"],
        "region": "eu-west-1",
        "repository_name": "app",
        "image_tag_mutability": "MUTABLE",
        "created_at": CREATED,
        "collected_at": datetime.combine(day, time(2), UTC),
        "observed": True,
    } | row
    arn = f"arn:aws:ecr:{full['region']}:{full['account_id']}:repository/{full['repository_name']}"
    return {"repository_arn": arn} | full


def _registry(row: dict[str, Any], day: date) -> dict[str, Any]:
    full = {
        "account_id": ACCOUNT["account_id"],
        "region": "eu-west-1",
        "collected_at": datetime.combine(day, time(2), UTC),
        "observed": True,
    } | row
    return {"registry_arn": f"arn:aws:ecr:{full['region']}:{full['account_id']}:registry"} | full


def _targets(accounts: Rows, repositories: Rows, described: Rows) -> list[dict[str, Any]]:
    given = {(row["account_id"], row["region"]): row for row in described}
    seen = Counter((row["account_id"], row["region"]) for row in repositories if row["observed"])
    regions = {row["region"] for row in (*repositories, *described)} or {"eu-west-1"}
    return [
        {
            "account_id": account["account_id"],
            "region": region,
            "outcome": "COLLECTED" if account["state"] == "ACTIVE" else "ACCOUNT_INACTIVE",
            "repository_count": seen[account["account_id"], region],
            # A scan counts what every target cost, also the one that it asked nothing.
            "api_calls": 0,
            "retries": 0,
            "throttles": 0,
        }
        | given.get((account["account_id"], region), {})
        for account in accounts
        for region in sorted(regions)
    ]
