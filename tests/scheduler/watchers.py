"""Who watches Airflow: an OpenTelemetry collector and an OpenLineage server, in one that keeps what it gets."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

# A gauge's name and the values of its tags.
Key = tuple[str, ...]


class Watchers:
    """Requests that have arrived so far, and where."""

    def __init__(self) -> None:
        self.gauges: dict[Key, float] = {}
        # Tasks whose duration Airflow reported.
        self.timed: set[tuple[str, str]] = set()
        self.lineage: list[dict[str, Any]] = []
        self._port = 0
        self._open()
        self.url = f"http://127.0.0.1:{self._port}"

    @contextmanager
    def away(self) -> Iterator[None]:
        """Meanwhile nobody answers at the port."""
        self.close()
        try:
            yield
        finally:
            self._open()

    def _open(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), partial(_Handler, self))
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """Leave the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def receive(self, path: str, body: bytes) -> None:
        """Take one request. Raises ValueError if it is of neither protocol."""
        if path == "/v1/metrics":
            self._receive_metrics(ExportMetricsServiceRequest.FromString(body))
        elif path == "/api/v1/lineage":
            self.lineage.append(json.loads(body))
        else:
            raise ValueError(path)

    def _receive_metrics(self, request: Any) -> None:
        for metric in (m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics):
            for point in metric.gauge.data_points:
                tags = {each.key: each.value.string_value for each in point.attributes}
                self.gauges[metric.name, *tags.values()] = point.as_double or point.as_int
            if metric.name == "airflow.task.duration":
                for point in metric.exponential_histogram.data_points:
                    tags = {each.key: each.value.string_value for each in point.attributes}
                    self.timed.add((tags["dag_id"], tags["task_id"]))

    def datasets(self, job: str) -> dict[str, set[tuple[str, str]]]:
        """Namespace and name of the datasets that a job's completed runs read and wrote."""
        ends = [
            event for event in list(self.lineage) if event["job"]["name"] == job and event["eventType"] == "COMPLETE"
        ]
        return {
            side: {(each["namespace"], each["name"]) for event in ends for each in event[side]}
            for side in ("inputs", "outputs")
        }


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, watchers: Watchers, *arguments: Any) -> None:
        self._watchers = watchers
        super().__init__(*arguments)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self._watchers.receive(self.path, body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""
