"""Reading a log file of CloudTrail: `python benchmarks/trail.py` (50 and 200 MB of records, from an S3 over HTTP).

By `read_trail`, as a night does; and for comparison by DuckDB, from a local copy: a log file is one JSON object, which
DuckDB holds in memory as a whole. Most records are about other calls than a push of an image.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import duckdb
from measuring import Cost, measure, print_table
from moto.server import ThreadedMotoServer

from demo.emulated_aws.trail import Place, log_file_key, put_image, record
from ecr_audit.image_tags.trail import read_trail
from ecr_audit.image_tags.trail_records import Wanted

APP = Place("111111111111", "eu-west-1", "app")
REGISTRY = (APP.account_id, APP.region)
BEGIN = datetime(2026, 11, 21, 4, tzinfo=UTC)
DIGEST = f"sha256:{'a' * 64}"
# Records of other calls for each push.
OTHERS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="*", default=[50, 200])
    os.environ |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    rows: list[tuple[Any, ...]] = []
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ["AWS_ENDPOINT_URL_S3"] = f"http://{host}:{port}"
    s3 = boto3.client("s3", region_name="us-east-1")
    try:
        for megabytes in parser.parse_args().megabytes:
            bucket = f"trail-{megabytes}"
            s3.create_bucket(Bucket=bucket)
            with tempfile.TemporaryDirectory() as folder:
                records = make_log_file(path := Path(folder, "log.json.gz"), megabytes * 1_000_000)
                key = log_file_key(*REGISTRY, BEGIN + timedelta(hours=1))
                s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
                size = path.stat().st_size / 1e6
                for way, function, argument in (
                    ("read_trail", by_read_trail, f"s3://{bucket}"),
                    ("DuckDB", by_duckdb, str(path)),
                ):
                    cost = in_fresh_process(function, argument)
                    rows.append((megabytes, size, records, way, cost.result, cost.wall, cost.cpu, round(cost.peak_mb)))
    finally:
        server.stop()
    headings = ("MB", "MB compressed", "records", "read by", "pushes", "wall s", "CPU s", "peak MB")
    print_table(headings, rows)


def in_fresh_process(function: Callable[[str], Any], argument: str) -> Cost:
    """The cost of a function of this file, in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(measured, function, argument).result()


def measured(function: Callable[[str], Any], argument: str) -> Cost:
    return measure(function, argument)


def make_log_file(path: Path, size: int) -> int:
    """Write a log file of some bytes, uncompressed. Returns how many records it has."""
    number = written = 0
    with gzip.open(path, "wt", compresslevel=5, encoding="utf-8") as file:
        file.write('{"Records":[')
        while written < size:
            at = BEGIN + timedelta(seconds=number % 3600)
            made = record(APP, at, "DescribeRepositories", {"maxResults": number}, None)
            if number % OTHERS == 0:
                made = put_image(APP, at, "latest", DIGEST)
            text = json.dumps(made, separators=(",", ":"))
            file.write(f",{text}" if number else text)
            written += len(text) + 1
            number += 1
        file.write("]}")
    return number


def by_read_trail(url: str) -> int:
    """The pushes that the library finds."""
    key = (APP.account_id, APP.region, APP.repository_name)
    wanted = Wanted({key: {"latest": DIGEST}}, {})
    intervals = {REGISTRY: [(BEGIN, BEGIN + timedelta(days=1))]}
    return len(read_trail(url, "", intervals, wanted, lambda: False).events)


def by_duckdb(path: str) -> int:
    """The pushes that DuckDB finds, told their columns and the size of the object."""
    columns = (
        "STRUCT(eventSource VARCHAR, eventName VARCHAR, eventTime VARCHAR, userIdentity STRUCT(arn VARCHAR),"
        " requestParameters STRUCT(repositoryName VARCHAR, imageTag VARCHAR))[]"
    )
    with duckdb.connect() as database:
        database.execute("SET threads = 1")
        [(found,)] = database.execute(
            f"""
            SELECT count(*)
            FROM (
                SELECT unnest(Records) AS record
                FROM read_json($path, maximum_object_size = 400000000, columns = {{Records: '{columns}'}})
            )
            WHERE record.eventName = 'PutImage'
            """,
            {"path": path},
        ).fetchall()
    return int(found)


if __name__ == "__main__":
    main()
