"""Observability of the tasks: the run in each log line, metrics, and lineage.

Both hooks are among the DAGs' default arguments. Nothing is read or sent unless Airflow is configured to, and nothing
here fails a task: a night without metrics is still a night. docs/observability.md describes their use.
Light to import: DAG files do so at every parse.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecr_audit.lake.lake import Lake
    from ecr_audit.metrics import Gauge
    from ecr_audit.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Report:
    """The report of a finished task: its gauges, and the names of the datasets that it read and wrote."""

    gauges: Callable[[Lake], Iterable[Gauge]] = lambda lake: ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    # Tables in PostgreSQL.
    writes_to_postgres: tuple[str, ...] = ()


def name_the_run(context: Mapping[str, Any]) -> None:
    """Put the run into every log line of the task, from whichever module.

    A worker of Airflow does so, but not `dag.test`, with which `make audit` runs the DAGs in its own process.
    """
    from structlog.contextvars import bind_contextvars

    instance = context["ti"]
    bind_contextvars(
        dag_id=instance.dag_id,
        run_id=instance.run_id,
        task_id=instance.task_id,
        map_index=instance.map_index,
        try_number=instance.try_number,
    )


def report(context: Mapping[str, Any], result: Any = None) -> None:
    """Send the metrics of a task that succeeded. Never raises."""
    try:
        task_report = task_reports().get(context["ti"].task_id)
        if task_report is not None:
            _send_gauges(task_report)
            _note_lineage(task_report)
    except Exception:
        log.warning("The task is done, but its metrics or its lineage could not be reported", exc_info=True)


def task_reports() -> dict[str, _Report]:
    """By task id. A task that only passes on a plan, or parts of a scan, has no metrics."""
    from ecr_audit import metrics
    from ecr_audit.lake.schemas import IMAGE_TAG_READS, POLICY_OUTPUT, ROLLED_UP, STAGES, TAG_ACTORS, TAG_MOVES
    from ecr_audit.publish.publication import DATABASE
    from ecr_audit.publish.tables import TABLES, VIEWS

    inventory = tuple(table.name for table in STAGES["inventory"])
    reads, moves, actors = (IMAGE_TAG_READS.name,), (TAG_MOVES.name,), (TAG_ACTORS.name,)
    image_tags = tuple(table.name for table in STAGES["image_tags"])
    verdicts, rolled_up = (POLICY_OUTPUT.name,), tuple(table.name for table in ROLLED_UP)
    return {
        "commit_snapshot": _Report(metrics.of_inventory, writes=inventory),
        "commit_tags": _Report(metrics.of_image_tags, reads=inventory, writes=image_tags),
        "read_trail": _Report(reads=moves, writes=actors),
        "evaluate_policies": _Report(reads=inventory + reads, writes=verdicts),
        "roll_up_frameworks": _Report(metrics.of_compliance, reads=inventory + verdicts, writes=rolled_up),
        "publish": _Report(
            _published_now, reads=(*inventory, *reads, *moves, *actors, *verdicts, *rolled_up), writes=(DATABASE,)
        ),
        "complete_publication": _Report(reads=(DATABASE,)),
        "announce": _Report(reads=(DATABASE,)),
        "publish_to_postgres": _Report(reads=(DATABASE,), writes_to_postgres=(*TABLES, *VIEWS)),
    }


def _published_now(lake: Lake) -> list[Gauge]:
    from ecr_audit.metrics import Gauge

    return [Gauge("ecr_audit.published_at_seconds", time.time())]


def _send_gauges(task_report: _Report) -> None:
    from airflow.sdk.configuration import conf
    from airflow.sdk.observability import stats

    from ecr_audit.lake.lake import open_lake
    from ecr_audit.settings import load_settings

    def is_on(*options: str) -> bool:
        return any(conf.getboolean("metrics", option) for option in options)

    if not is_on("statsd_on", "otel_on", "statsd_datadog_enabled"):
        return
    # A plain StatsD server has no tags: one gauge's values would overwrite each other there.
    is_plain = is_on("statsd_on") and not is_on("statsd_datadog_enabled", "statsd_influxdb_enabled")
    for gauge in task_report.gauges(open_lake(load_settings())):
        name = ".".join((gauge.name, *gauge.tags.values())) if is_plain else gauge.name
        stats.gauge(name, gauge.value, tags=dict(gauge.tags))


def _note_lineage(task_report: _Report) -> None:
    """Leave the datasets with Airflow's collector, whose content OpenLineage sends with the end of the task.

    Without OpenLineage the collector is one that drops everything.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.lineage import get_hook_lineage_collector

    from ecr_audit.settings import load_settings
    from ecr_audit_airflow.postgres_connection import table_addresses

    settings, collector, context = load_settings(), get_hook_lineage_collector(), BaseHook()
    for name in task_report.reads:
        collector.add_input_asset(context, uri=_uri(settings, name))
    for name in task_report.writes:
        collector.add_output_asset(context, uri=_uri(settings, name))
    if task_report.writes_to_postgres:
        for address in table_addresses(settings.postgres_schema, task_report.writes_to_postgres):
            collector.add_output_asset(context, uri=address)


def _uri(settings: Settings, name: str) -> str:
    """Where a table of the lake, or the published database, is: s3://bucket/prefix/name, or file:///folder/name.

    The same for all nights and versions of it, since it is the dataset that a lineage follows, not the file.
    """
    from ecr_audit.place import uri_of
    from ecr_audit.publish.publication import DATABASE

    return f"{uri_of(settings.publish_root if name == DATABASE else settings.lake_root)}/{name}"
