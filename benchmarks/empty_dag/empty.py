"""A DAG of EMPTY_TASKS tasks that do nothing, one after the other as the audit's are, run by `terminal.py`."""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import chain, dag, task


@dag(schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"))
def empty() -> None:
    @task
    def nothing() -> None:
        pass

    chain(*(nothing.override(task_id=f"nothing_{number}")() for number in range(int(os.environ["EMPTY_TASKS"]))))


EMPTY = empty()

if __name__ == "__main__":
    EMPTY.test()
