"""A healthy organization, settings that fit it, and the doctor's results on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from demo.emulated_aws.faults import Fault, Faults
from demo.emulated_aws.identities import HUB_ACCESS_KEY_ID, HUB_SECRET_ACCESS_KEY
from demo.emulated_aws.protocols import SERVICES, AwsError, new_request_id, render_error
from demo.emulated_aws.server import EmulatedAws
from demo.emulated_aws.world import Account, Region, Repository, World, stored
from ecr_audit.aws import organizations_reader
from ecr_audit.aws.session import connect_hub
from ecr_audit.doctor import Result, Status, examine

HUB = "100000000000"
MEMBERS = ("100000000001", "100000000002", "100000000003")
EXTERNAL_ID = "sesame-2026"

Examine = Callable[[], list[Result]]
Inject = Callable[..., None]


def healthy_world(**options: Any) -> World:
    """A hub and three members, all of which may be entered, in two default regions and an opt-in one."""
    accounts = [Account(HUB, "hub", "r-demo"), *(Account(each, f"member-{each[-1]}", "r-demo") for each in MEMBERS)]
    return World(
        accounts={account.id: account for account in accounts},
        regions=[Region("us-east-1"), Region("eu-west-1"), Region("me-south-1", opt_in=True)],
        hub_account_id=HUB,
        management_account_id=HUB,
        external_id=EXTERNAL_ID,
        repository_source=stored({(account.id, "us-east-1"): [Repository("app")] for account in accounts}),
        **options,
    )


class AwsWithAClock(EmulatedAws):
    """An emulated AWS whose clock is not ours, and which minds the time of a signature as AWS does.

    Source: "Troubleshoot Signature Version 4 signing for AWS API requests", IAM User Guide.
    """

    ahead = timedelta(0)
    # Date to send instead of the time.
    date: str | None = None

    async def _respond(self, request: web.BaseRequest, body: bytes) -> web.Response:
        now = datetime.now(UTC) + self.ahead
        signed = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(now - signed) <= timedelta(minutes=5):
            response = await super()._respond(request, body)
        else:
            reported = f"{signed:%Y%m%dT%H%M%SZ}"
            edge = f"{now:%Y%m%dT%H%M%SZ} ({'-' if now > signed else '+'} 5 min.)"
            late = "Signature expired" if now > signed else "Signature not yet current"
            comparison = "earlier" if now > signed else "later"
            message = f"{late}: {reported} is now {comparison} than {edge}"
            error = AwsError("SignatureDoesNotMatch", message, 403)
            answer = render_error(SERVICES["sts"], error, new_request_id())
            response = web.Response(status=403, body=answer, headers={"Content-Type": "text/xml"})
        response.headers["Date"] = now.strftime("%a, %d %b %Y %H:%M:%S GMT") if self.date is None else self.date
        return response


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulated AWS has no limit of eight calls a second."""
    monkeypatch.setattr(organizations_reader, "CALLS_PER_SECOND", 10_000)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AwsWithAClock]:
    """The healthy organization, and an environment in which the doctor finds nothing to fix."""
    for name in list(os.environ):
        if name.startswith(("ECR_AUDIT_", "AWS_")):
            monkeypatch.delenv(name)
    with AwsWithAClock(healthy_world()) as running:
        for name, value in {
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
            "AWS_ACCESS_KEY_ID": HUB_ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": HUB_SECRET_ACCESS_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": running.endpoint_url,
            "ECR_AUDIT_DATA": str(tmp_path / "data"),
            "ECR_AUDIT_EXTERNAL_ID": EXTERNAL_ID,
        }.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def inject(aws: AwsWithAClock) -> Inject:
    """Lets faults strike the emulated AWS from now on."""

    def strike(*faults: Fault) -> None:
        aws.faults = Faults(faults)

    return strike


@pytest.fixture
def findings(aws: AwsWithAClock) -> Examine:
    """Runs the doctor; gives what it found amiss, and not what it could not check because of that."""

    def run() -> list[Result]:
        results = list(examine(connect_hub, lambda: None))
        return [result for result in results if result.status in (Status.WARN, Status.FAIL)]

    return run
