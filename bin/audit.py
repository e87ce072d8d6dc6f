"""The whole audit from the terminal: its DAGs, run by Airflow in this process, then a summary.

`demo` starts an emulated AWS and runs two nights of the demo organization; `aws` runs one on the AWS of the
environment.
`make audit` and `make audit-aws` call this in the right environment.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

# First: without it, a start outside make would end with a traceback.
from startup import ROOT, require  # isort: skip
from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.text import Text

from ecr_audit.hidden_modules import hidden_modules
from ecr_audit.own_process import kept_processes
from ecr_audit.terminal import open_console
from ecr_audit.vocabulary import ImageTags

if TYPE_CHECKING:
    from ecr_audit.lake.lake import Lake
    from ecr_audit.settings import Settings

# New objects between two garbage collections, 700 by default.
GC_THRESHOLD = 200_000

# Batches run one after another here, where each more is time: its calls begin again, and end with few in flight.
BATCH_ACCOUNTS = 2_000

# The second only with ECR_AUDIT_IMAGE_TAGS; before the compliance, so that what moved is in the night's publication.
INVENTORY, IMAGE_TAGS, COMPLIANCE = DAGS = ("ecr_inventory", "ecr_image_tags", "ecr_compliance")


class AuditFailed(Exception):  # noqa: N818 - an end of the run, not a bug
    """The audit failed; the message is for the person who started it."""


def main() -> int:
    """Run the audit; returns the exit code: 0, or 1 when something failed or too little was seen."""
    parser = argparse.ArgumentParser(prog="audit", description=__doc__)
    parser.add_argument("where", choices=("demo", "aws"))
    where = parser.parse_args().where
    if where == "demo":
        require("demo")
    with _few_collections(), kept_processes(), _own_terminal() as console, hidden_modules("numpy", "pandas"):
        try:
            set_data_folder(where)
            log_file = _log_everything()
            console.print(f"Full log: [bold]{log_file}[/]", soft_wrap=True)
            return _run_demo(console) if where == "demo" else _run_aws(console)
        except AuditFailed as end:
            console.print("[bold red]The audit failed.[/]", escape(str(end)))
        except Exception as fault:
            logging.getLogger(__name__).exception("The audit stopped with an error")
            console.print("[bold red]The audit stopped with an error;[/] see the log.", escape(repr(fault)))
        return 1


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """To search Airflow's objects, which all stay, again and again, and when the interpreter ends, takes seconds.

    Nothing is collected before `_Airflow` has imported them.
    """
    gc.disable()
    gc.set_threshold(GC_THRESHOLD)
    try:
        yield
    finally:
        gc.freeze()


def set_data_folder(where: str) -> None:
    """The demo uses data/, a real organization data/aws, unless ECR_AUDIT_DATA is set."""
    if not os.environ.get("ECR_AUDIT_DATA", "").strip():
        os.environ["ECR_AUDIT_DATA"] = str(ROOT / "data" if where == "demo" else ROOT / "data" / "aws")


@contextlib.contextmanager
def _own_terminal() -> Iterator[Console]:
    """Reserve the terminal for the console, so that all other output can go to the log file."""
    with open(os.dup(1), "w", encoding="utf-8", closefd=True) as terminal:  # noqa: PTH123 - a descriptor, not a path
        yield open_console(terminal)


def _log_everything() -> Path:
    """Send standard output and error of this process, and so Airflow's log, to a file."""
    from ecr_audit.settings import SettingsError, load_data_folder

    try:
        data = load_data_folder()
    except SettingsError as fault:
        raise AuditFailed(str(fault)) from fault
    os.environ["ECR_AUDIT_DATA"] = str(data)
    folder = data / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"audit-{datetime.now(UTC):%Y%m%dT%H%M%S}.log"
        with path.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    except OSError as fault:
        raise AuditFailed(f"ECR_AUDIT_DATA: '{folder.parent}' cannot be written ({fault}).") from fault
    return path


def checked_settings() -> Settings:
    """The settings. Raises AuditFailed for a fault in them or in the catalog.

    Only evaluating reads the catalog, but a person should not wait for a whole scan to read of a misspelling. The DAG
    does scan first: a snapshot can be evaluated later, and a night without one is lost.
    """
    from ecr_audit.catalog import load_catalog
    from ecr_audit.errors import FinalError
    from ecr_audit.settings import SQL_ROOT, load_settings

    try:
        settings = load_settings()
        load_catalog(SQL_ROOT)
    except FinalError as fault:
        raise AuditFailed(str(fault)) from fault
    return settings


def _run_demo(console: Console) -> int:
    from demo.emulated_aws.server import EmulatedAws
    from demo.environment import enter_demo, ignored_in_demo
    from demo.first_night import date_back
    from demo.organization import demo_world
    from demo.waivers import write_waivers
    from ecr_audit.settings.evidence import demo_evidence

    if ignored := ignored_in_demo(os.environ):
        console.print(ignored, style="yellow", markup=False)
    today = datetime.now(UTC).date()
    with EmulatedAws(demo_world(1, today)) as aws:
        enter_demo(aws.endpoint_url)
        data = Path(os.environ["ECR_AUDIT_DATA"])
        os.environ["ECR_AUDIT_WAIVERS"] = str(write_waivers(data / "waivers.yaml", today))
        os.environ["ECR_AUDIT_EVIDENCE"] = demo_evidence(data)
        console.print("[bold]Demo organization[/] on an emulated AWS; nothing leaves this machine.")
        airflow = _Airflow(console)
        airflow.audit(today - timedelta(days=1), "yesterday's night", after_commit=date_back)
        aws.world = demo_world(2, today)
        # By rotation, as a real organization is read: the first night read everything.
        os.environ.pop("ECR_AUDIT_COLLECT_ROTATION_NIGHTS")
        passed = airflow.audit(today, "tonight, after some changes")
    _summarize(console)
    return 0 if passed else 1


def _run_aws(console: Console) -> int:
    passed = _Airflow(console).audit(None, "tonight")
    _summarize(console)
    return 0 if passed else 1


def _summarize(console: Console) -> None:
    from ecr_audit.publish.summary import print_summary
    from ecr_audit.settings import load_settings

    print_summary(load_settings(), console)


def unpublished(settings: Settings) -> str:
    """The consequence of a night that was not published, for the person who started it."""
    from ecr_audit.errors import FinalError
    from ecr_audit.publish.store import newest_date

    with contextlib.suppress(OSError, FinalError):
        if newest_date(settings) is None:
            return "Nothing was published."
    return "The previous publication is unchanged."


class _Airflow:
    """Airflow in this process: its own task runner and database, no scheduler."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._steps = Steps(console)
        # Between the tasks, too, Airflow looks for connections in its database, such as the one to AWS.
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
        if not os.environ.get("ECR_AUDIT_BATCH_ACCOUNTS", "").strip():
            os.environ["ECR_AUDIT_BATCH_ACCOUNTS"] = str(BATCH_ACCOUNTS)
        self._settings = checked_settings()
        with _line(console, "Starting Airflow …"):
            from airflow.dag_processing.dagbag import DagBag
            from airflow.utils import db

            if not is_migrated():
                db.initdb()
            self._dags = DagBag()
            gc.freeze()
            gc.enable()
        if self._dags.import_errors:
            raise AuditFailed(f"A DAG file does not import: {self._dags.import_errors}")
        if missing := [each for each in DAGS if each not in self._dags.dags]:
            raise AuditFailed(
                f"AIRFLOW__CORE__DAGS_FOLDER: '{self._dags.dag_folder}' does not have {', '.join(missing)}. Use"
                f" make audit-aws, or make audit for the demo; or set it to {ROOT / 'dags'}, and"
                f" AIRFLOW__CORE__PLUGINS_FOLDER to {ROOT / 'plugins'}."
            )
        self._bundle_each()
        logging.getLogger("ecr_audit").addHandler(Progress(console, self._steps))

    def _bundle_each(self) -> None:
        """Give each DAG a bundle of its own: for every run, dag.test() reads all DAGs of the bundle again.

        In a new database it looks through the bundles for the DAG. Those that are not run here come first, so that
        they are in the database, too, and the links of `make pages` to them lead somewhere.
        """
        files = {Path(dag.fileloc): dag.dag_id in DAGS for dag in self._dags.dags.values()}
        bundles = [
            {
                "name": file.stem,
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {"path": str(file)},
            }
            for file in sorted(files, key=files.__getitem__)
        ]
        os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps(bundles)

    def audit(
        self, snapshot_date: date | None, title: str, after_commit: Callable[[Lake, date, str], None] | None = None
    ) -> bool:
        """Run the DAGs of a night. Returns whether all passed; raises AuditFailed when nothing new is published.

        `after_commit` may change what was read, by stage, before it is evaluated.
        """
        from ecr_audit.lake.lake import open_lake

        if snapshot_date:
            os.environ["ECR_AUDIT_SNAPSHOT_DATE"] = snapshot_date.isoformat()
        self._console.print(f"\n[bold]{snapshot_date or 'Inventory'}[/] {title}")
        inventory = self._run(INVENTORY, {})
        lake = open_lake(self._settings)
        commits = [lake.read_commit("inventory", day) for day in lake.snapshot_dates("inventory")]
        commit = next((each for each in commits if each and each.detail("run_id") == inventory.run_id), None)
        if commit is None:
            raise AuditFailed(unpublished(self._settings))
        if after_commit:
            after_commit(lake, commit.snapshot_date, "inventory")
        runs = [inventory]
        if self._settings.image_tags is not ImageTags.OFF:
            runs.append(self._run(IMAGE_TAGS, {}))
            if after_commit and runs[-1].get_task_instance("commit_tags").state == "success":
                after_commit(lake, commit.snapshot_date, "image_tags")
        compliance = self._run(COMPLIANCE, {"snapshot_date": commit.snapshot_date.isoformat()})
        if compliance.get_task_instance("publish").state != "success":
            raise AuditFailed(unpublished(self._settings))
        return all(run.state == "success" for run in (*runs, compliance))

    def _run(self, dag_id: str, params: dict[str, Any]) -> Any:
        """Run a DAG to its end, and show its tasks. Returns the run."""
        steps = self._steps
        dag = self._dags.get_dag(dag_id)
        for each in dag.tasks:
            # A person is watching: report a fault at once rather than retry in half a minute.
            each.retries = 0
            each.on_execute_callback = [steps.start]
            each.on_success_callback = [steps.end]
            each.on_skipped_callback = [steps.skip]
            each.on_failure_callback = [steps.fail]
        try:
            return dag.test(run_conf=params, logical_date=None)
        finally:
            steps.stop()  # also for Ctrl-C, which would leave the terminal without its cursor


def is_migrated() -> bool:
    """Whether Airflow's database has the tables of this version of Airflow.

    Its check_migrations asks each provider about its tables, too, and imports Flask for that: a second, for tables that
    a run does not use.
    """
    from airflow.utils.db import _REVISION_HEADS_MAP
    from airflow.utils.session import create_session
    from sqlalchemy import text
    from sqlalchemy.exc import DatabaseError

    try:
        with create_session() as session:
            found = session.scalars(text("SELECT version_num FROM alembic_version")).all()
    except DatabaseError:  # without that table
        return False
    # By version, the newest last. Airflow has no public name for it; where it is wrong, migrating does nothing.
    return found == list(_REVISION_HEADS_MAP.values())[-1:]


class Steps:
    """Shows which task runs: on a terminal with what it is writing and the seconds so far; and how long each took."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running: _Running | None = None
        self._line: Live | None = None

    def start(self, context: Any) -> None:
        """A task begins."""
        self.stop()
        self._running = _Running(_name(context))
        self._line = _line(self._console, self._running)
        self._line.start()

    def show(self, activity: str) -> None:
        """The task that runs has begun with this, or ended it (empty); only a terminal shows it."""
        if self._running and self._line:
            self._running.activity = activity
            self._line.refresh()

    def end(self, context: Any) -> None:
        """A task has ended well."""
        self._console.print(f"  {_name(context)}: {self.stop():.1f} s")

    def skip(self, context: Any) -> None:
        """A task had nothing to do."""
        self.stop()
        self._console.print(f"  {_name(context)}: skipped", style="dim")

    def fail(self, context: Any) -> None:
        """A task has failed."""
        seconds = self.stop()
        self._console.print(f"  [red]{_name(context)}: {escape(str(context['exception']))}[/] ({seconds:.1f} s)")

    def stop(self) -> float:
        """Take the line off, whatever has ended the task. Returns its seconds; 0 when none runs."""
        if self._line is None or self._running is None:
            return 0.0
        self._line.stop()
        seconds = self._running.seconds
        self._line = self._running = None
        return seconds


def _line(console: Console, text: RenderableType) -> Live:
    """A line that a terminal shows for as long as something runs. Standard output, which is the log, stays as it is."""
    spinner = Spinner("dots", text)
    return Live(
        spinner, console=console, refresh_per_second=4, transient=True, redirect_stdout=False, redirect_stderr=False
    )


class _Running:
    """A task that runs; its seconds are counted whenever it is drawn."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._began = time.monotonic()
        self.activity = ""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def __rich__(self) -> Text:
        activity = f", {self.activity}" if self.activity else ""
        return Text(f"{self._name} … {self.seconds:.0f} s{activity}", no_wrap=True, overflow="ellipsis")


def _name(context: Any) -> str:
    instance = context["ti"]
    return f"{instance.task_id} {instance.map_index}" if instance.map_index > 0 else str(instance.task_id)


class Progress(logging.Handler):
    """Prints the library's progress messages on the terminal."""

    def __init__(self, console: Console, steps: Steps) -> None:
        super().__init__(logging.INFO)
        self._console = console
        self._steps = steps

    def emit(self, record: logging.LogRecord) -> None:
        # Further lines, such as a check's examples, are for the log.
        line = record.getMessage().partition("\n")[0].removesuffix(", such as")
        begins = getattr(record, "begins", False)
        self._steps.show(line if begins else "")
        if begins:
            return
        style = "yellow" if record.levelno >= logging.WARNING else "dim"
        self._console.print(f"  {line}", style=style, markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
