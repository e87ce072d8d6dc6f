"""CPU time that the emulated AWS takes per call, measured in its own process: `python benchmarks/emulated_aws.py`.

The calls go over one kept connection, one after the other, with the headers that boto3 sends. The figure includes the
kernel's share (sockets), and excludes the client.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "plugins"), str(ROOT)]

from demo.emulated_aws.identities import HUB_ACCESS_KEY_ID  # noqa: E402

CALLS = 10_000
# us-east-1 of the hub is empty in the large world, as most targets are.
REQUESTS = {
    "DescribeRepositories, no repository": ("ecr", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"),
    "GetResources, nothing tagged": ("tagging", "ResourceGroupsTaggingAPI_20170126.GetResources"),
    "ListAccounts, a page of 20": ("organizations", "AWSOrganizationsV20161128.ListAccounts"),
}


def request(service: str, target: str) -> bytes:
    """Return one HTTP request of the hub to a JSON service in us-east-1."""
    credential = f"{HUB_ACCESS_KEY_ID}/20260101/us-east-1/{service}/aws4_request"
    signed = "content-type;host;x-amz-date;x-amz-target"
    agent = "Boto3/1.44 md/Botocore#1.44 ua/2.1 os/linux md/arch#x86_64 lang/python#3.11 cfg/retry-mode#standard"
    headers = [
        "POST / HTTP/1.1",
        "Host: 127.0.0.1",
        f"X-Amz-Target: {target}",
        "Content-Type: application/x-amz-json-1.1",
        f"User-Agent: {agent}",
        "X-Amz-Date: 20260101T000000Z",
        f"Authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={'0' * 64}",
        "amz-sdk-invocation-id: 00000000-0000-4000-8000-000000000000",
        "amz-sdk-request: attempt=1",
        "Content-Length: 2",
    ]
    return ("\r\n".join(headers) + "\r\n\r\n{}").encode()


def exchange(port: int, message: bytes) -> None:
    """Send the same request CALLS times, and read every answer to its end."""
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as answers:
        for _ in range(CALLS):
            connection.sendall(message)
            assert answers.readline().startswith(b"HTTP/1.1 200")
            length = 0
            while (line := answers.readline().lower()) != b"\r\n":
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            answers.read(length)


def cpu_seconds(pid: int) -> float:
    """Return the user and system time that a process has used so far (fields 14 and 15 of /proc/<pid>/stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Serve 10,000 accounts x 17 regions, and print the milliseconds of CPU per call of each kind."""
    command = [sys.executable, "-m", "demo", "--accounts", "10000"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(ROOT)])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline().rpartition(":")[2])
        for name, (service, target) in REQUESTS.items():
            before = cpu_seconds(server.pid)
            exchange(port, request(service, target))
            print(f"{name:40} {(cpu_seconds(server.pid) - before) / CALLS * 1000:.3f} ms")
        server.terminate()


if __name__ == "__main__":
    main()
