"""How quick the web pages are when 1 million repositories are published, in Airflow's own api-server.

    python benchmarks/pages.py                       # make and publish the organization, then ask
    python benchmarks/pages.py --published <folder>  # use the publication of a folder ECR_AUDIT_DATA

Four readers at once each ask for every page a number of times, in an order of their own. Accounts, repositories, words
and pages of lists differ from one request to the next, so that most answers are not those of a request before. Memory
is that of the api-server's processes: at its peak, less what they had before the first page was asked for.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import math
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from compliance import in_fresh_process, make, run
from measuring import ROOT, print_table

from ecr_audit.publish.publication import DATABASE
from ecr_audit.publish.published_file import open_published

REPOSITORIES = 1_000_000
READERS = 4
PREFIX = "/ecr-audit"


def main() -> None:
    """Publish, start the api-server, ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path)
    parser.add_argument("--times", type=int, default=15, help="requests for each page, by each reader")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ecr-audit-benchmark-") as folder:
        data = arguments.published or Path(folder)
        if arguments.published is None:
            in_fresh_process(make, folder, REPOSITORIES)
            for night, step in ((1, "evaluate"), (1, "roll_up"), (2, "evaluate"), (2, "roll_up"), (2, "publish")):
                in_fresh_process(run, folder, night, step)
        addresses = list_addresses(data / "publish" / DATABASE)
        with api_server(Path(folder, "airflow"), data) as (port, process_group):
            token = login(port)
            before = memory_mb(process_group, "VmRSS")
            with ThreadPoolExecutor(READERS) as readers:
                asked = list(readers.map(lambda n: read(port, token, addresses, arguments.times, n), range(READERS)))
            grown = memory_mb(process_group, "VmHWM") - before
    times: dict[str, list[float]] = defaultdict(list)
    for page, seconds in itertools.chain(*asked):
        times[page].append(1000 * seconds)
    rows = [
        [page, len(of), *(round(share(of, part)) for part in (0.5, 0.95, 1))]
        for page in addresses
        for of in (times[page],)
    ]
    print_table(["page", "requests", "median ms", "p95 ms", "slowest ms"], rows)
    print_table(["memory before MB", "grown by MB"], [[round(before), round(grown)]])


def list_addresses(database: Path) -> dict[str, Callable[[random.Random], str]]:
    """Every kind of page, and an address of that kind by chance."""
    with open_published(database) as published:
        arns = [
            arn for (arn,) in published.execute("SELECT repository_arn FROM repositories USING SAMPLE 2000").fetchall()
        ]
        accounts = [account for (account,) in published.execute("SELECT account_id FROM accounts").fetchall()]
        units = [unit for (unit,) in published.execute("SELECT DISTINCT ou_path FROM ou_compliance").fetchall()]
        [(findings,)] = published.execute(
            "SELECT min(n) FROM (SELECT count(*) AS n FROM findings GROUP BY policy_id)"
        ).fetchall()
    sorts = ("age", "repository", "-repository", "account", "-owner", "region")
    policy = "/ce/ca/aws/ecr/repository-image-tag-mutability"
    return {
        "overview": lambda _: "/",
        "policy": lambda _: f"/policies{policy}",
        "framework": lambda _: "/frameworks/nist-sp-800-53-r5",
        "section": lambda _: "/sections/nist-sp-800-53-r5/cm/02",
        "organization": lambda by: f"/organization?ou={quote(by.choice(units))}",
        "account": lambda by: f"/accounts/{by.choice(accounts)}?page={by.randint(1, 40)}",
        "coverage": lambda by: f"/coverage?page={by.randint(1, len(accounts) // 50)}",
        "findings": lambda by: f"/findings?page={by.randint(1, 100)}",
        "findings, sorted": lambda by: f"/findings?sort={by.choice(sorts)}&page={by.randint(1, 100)}",
        "findings, far down": lambda by: f"/findings?page={by.randint(100, findings // 50)}",
        "findings, of a unit": lambda by: f"/findings?ou={quote(by.choice(units))}&page={by.randint(1, 20)}",
        "findings, searched": lambda by: f"/findings?search={by.randbytes(1).hex()}+service",
        "repository": lambda by: f"/repositories/{by.choice(arns)}",
        "API, findings": lambda by: f"/api/v1/findings?account={by.choice(accounts)}",
        "API, repositories": lambda by: f"/api/v1/repositories?page={by.randint(1, REPOSITORIES // 100)}",
    }


def read(
    port: int, token: str, addresses: dict[str, Callable[[random.Random], str]], times: int, reader: int
) -> list[tuple[str, float]]:
    """Request pages; returns each page with its seconds, from the request to the last byte."""
    by, asked = random.Random(reader), []
    pages = list(addresses) * times
    by.shuffle(pages)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for page in pages:
        address, start = PREFIX + addresses[page](by), time.perf_counter()
        connection.request("GET", address, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read()
        asked.append((page, time.perf_counter() - start))
        if answer.status != 200:
            raise SystemExit(f"{address}: {answer.status} {body[:2000].decode()}")
    return asked


@contextmanager
def api_server(home: Path, data: Path) -> Iterator[tuple[int, int]]:
    """Airflow's api-server with the pages over a folder of data: its port, and its group of processes."""
    home.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "ECR_", "AWS_"))
    }
    environment |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "ECR_AUDIT_DATA": str(data),
    }
    command = [sys.executable, "-m", "airflow"]
    subprocess.run([*command, "db", "migrate"], check=True, capture_output=True, env=environment)
    with (home / "api-server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "api-server"], env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for(server, port)
        yield port, server.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    """Return when the server answers."""
    while server.poll() is None:
        with contextlib.suppress(OSError):
            login(port)
            return
        time.sleep(0.5)
    raise SystemExit("The api-server has ended.")


def login(port: int) -> str:
    """A token from Airflow, which makes everybody an administrator here."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/auth/token")
    return str(json.loads(connection.getresponse().read())["access_token"])


def memory_mb(process_group: int, field: str) -> float:
    """Memory of all processes of a group, in MB: VmRSS is what they have now, VmHWM the most that they had."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(status.parent.name)) == process_group:
                total += sum(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(field))
    return total / 1024


def share(of: list[float], part: float) -> float:
    """The smallest value that this part of the values does not exceed."""
    return sorted(of)[math.ceil(len(of) * part) - 1]


if __name__ == "__main__":
    main()
