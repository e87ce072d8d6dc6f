"""A repository's page shows its overwritable tags, the findings with their dates, and the fix."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from html import unescape
from typing import Any

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from ecr_audit.catalog.waivers import SCHEMA
from ecr_audit.web.aws_console import repository_address
from ecr_audit.web.pages.repository import strip
from support.small_lake import SmallLake

ARN = "arn:aws:ecr:eu-west-1:111111111111:repository/"


def words(client: TestClient, name: str) -> str:
    """The text of a page, on one line, without its tags."""
    page = client.get(f"/repositories/{ARN}{name}")
    assert page.status_code == 200
    text = unescape(page.text.split("<main", 1)[1].replace("<wbr>", ""))
    return " ".join("".join(part.partition(">")[2] for part in ("main>" + text).split("<")).split())


SETTINGS = {
    "mutable": ("MUTABLE", [], "Every tag."),
    "immutable": ("IMMUTABLE", [], "None: a pushed tag always refers to the same image."),
    "some": ("IMMUTABLE_WITH_EXCLUSION", ["latest", "dev-*"], "Only tags that match latest or dev-*."),
    "but": ("MUTABLE_WITH_EXCLUSION", ["v*"], "All tags but those that match v*."),
    "in_name": ("IMMUTABLE_WITH_EXCLUSION", ["*"], "Every tag, though the setting says immutable: * matches them all."),
    "new": ("SOMETIMES", [], "Unknown: ECR returned a value that the audit does not know."),
    "none": ("", [], "Unknown: ECR returned no value."),
}


def test_overwritable_tags_in_words(client: TestClient, published: Callable[..., None]) -> None:
    published(
        repositories=[
            {
                "repository_name": name,
                "image_tag_mutability": setting,
                "image_tag_mutability_exclusion_filters": [
                    {"filter_type": "WILDCARD", "filter": each} for each in filters
                ],
            }
            for name, (setting, filters, _) in SETTINGS.items()
        ]
    )
    for name, (_, _, said) in SETTINGS.items():
        assert f"Overwritable tags {said}" in words(client, name), name


def test_history_command_and_waiver(client: TestClient, published: Callable[..., None], small_lake: SmallLake) -> None:
    waiver = {
        "waiver_id": "W-7",
        "policy_id": "/ce/ca/aws/ecr/repository-image-tag-mutability",
        "reason": "Until the pipeline is gone.",
        "owner": "platform",
        "approved_by": "CISO",
        "ticket": "RISK-1",
        "created": date(2026, 11, 1),
        "expires": date(2026, 11, 20),
    }
    small_lake.waivers = pa.Table.from_pylist([waiver], schema=SCHEMA)
    dark = {"account_id": "111111111111", "region": "eu-west-1", "outcome": "FAILED"}
    nights: list[dict[str, Any]] = [
        {"repositories": [{"repository_name": "app"}]},
        {"repositories": [{"repository_name": "app", "image_tag_mutability": "IMMUTABLE"}]},
        {"repositories": [{"repository_name": "app", "image_tag_mutability": "IMMUTABLE", "observed": False}]},
        {"repositories": [{"repository_name": "app"}]},
    ]
    nights[2]["scan_targets"] = [dark]
    for day, rows in enumerate(nights[:-1], start=1):
        small_lake.night(date(2026, 11, day), **rows)
    published(date(2026, 11, len(nights)), **nights[-1])
    text = words(client, "app")
    events = [
        "2026-11-04 Incompliant again Undetermined → Incompliant",
        "2026-11-03 No longer evaluated Compliant → Undetermined",
        "2026-11-02 Fixed Incompliant → Compliant",
        "2026-11-01 Incompliant when first evaluated",
    ]
    places = [text.find(event) for event in events]
    assert -1 not in places
    assert places == sorted(places)
    assert "Incompliant since 2026-11-04 or earlier: today or earlier." in text, "it was not seen the night before"
    assert "--repository-name 'app' --image-tag-mutability IMMUTABLE" in text
    assert "Until the pipeline is gone. Waiver W-7, RISK-1; owner platform, approved by CISO;" in text
    assert "until 2026-11-20, 16 days from this night" in text
    answer = client.get(f"/api/v1/repositories/{ARN}app").json()
    assert [verdict["status"] for verdict in answer["verdicts"]] == ["INCOMPLIANT", "INCOMPLIANT"]
    assert answer["verdicts"][0]["waiver_id"] == "W-7"
    assert len(answer["history"]) == 8


def test_a_finding_is_as_old_as_on_the_list(
    client: TestClient, published: Callable[..., None], small_lake: SmallLake
) -> None:
    """Its status begins again when the repository is seen again; and what the first night found may be older."""
    dark = {"account_id": "111111111111", "region": "eu-west-1", "outcome": "FAILED"}
    small_lake.night(date(2026, 11, 1), repositories=[{"repository_name": "app"}])
    unseen = [{"repository_name": "app", "observed": False}]
    published(date(2026, 11, 2), repositories=unseen, scan_targets=[dark])
    text = words(client, "app")
    assert "Incompliant since 2026-11-01 or earlier: at least 1 day. Undetermined since 2026-11-02." in text
    published(date(2026, 11, 3), repositories=[{"repository_name": "app"}])
    text = words(client, "app")
    assert "Incompliant since 2026-11-01 or earlier: at least 2 days." in text
    assert "Incompliant 2026-11-01 or earlier to tonight: at least 2 days" in text
    assert "since 2026-11-03" not in text


def test_one_that_is_gone_still_has_its_history(
    client: TestClient, published: Callable[..., None], small_lake: SmallLake
) -> None:
    small_lake.night(date(2026, 11, 1), repositories=[{"repository_name": "app"}, {"repository_name": "stays"}])
    small_lake.night(date(2026, 11, 2), repositories=[{"repository_name": "stays"}])
    published(date(2026, 11, 3), repositories=[{"repository_name": "stays"}])
    text = words(client, "app")
    assert "The repository has been deleted." in text
    assert "2026-11-02 Deleted" in text
    assert client.get(f"/api/v1/repositories/{ARN}app").json()["repository"] is None


def test_one_that_never_was_is_not_found(client: TestClient, published: Callable[..., None]) -> None:
    published(repositories=[{"repository_name": "app"}])
    for name in ("x", "a:b:c", f"{ARN}other", f"{ARN}app/", f"{ARN}APP", ARN.removesuffix("repository/")):
        assert client.get(f"/repositories/{name}").status_code == 404
        assert name in client.get(f"/api/v1/repositories/{name}").json()["detail"]


@pytest.mark.parametrize(
    ("arn", "address"),
    [
        (
            "arn:aws:ecr:eu-west-1:111111111111:repository/team/app",
            "https://eu-west-1.console.aws.amazon.com/ecr/repositories/private/111111111111/team/app?region=eu-west-1",
        ),
        (
            "arn:aws-us-gov:ecr:us-gov-west-1:111111111111:repository/app",
            "https://us-gov-west-1.console.amazonaws-us-gov.com/ecr/repositories/private/111111111111/app"
            "?region=us-gov-west-1",
        ),
        (
            "arn:aws-cn:ecr:cn-north-1:111111111111:repository/app",
            "https://cn-north-1.console.amazonaws.cn/ecr/repositories/private/111111111111/app?region=cn-north-1",
        ),
        ("arn:aws-iso:ecr:us-iso-east-1:111111111111:repository/app", None),
        ("javascript:alert(1)", None),
        ("arn:aws:ecr:evil.example/:111111111111:repository/x", None),
    ],
)
def test_the_console_of_each_partition(arn: str, address: str | None) -> None:
    assert repository_address(arn) == address


def test_the_strip_is_to_scale() -> None:
    day = [date(2026, 11, n) for n in range(1, 12)]
    past = {"started": day[0], "ended": day[2], "days": 2, "started_known": True}
    now = {"started": day[5], "ended": None, "days": 5, "started_known": True}
    assert [(part.x, part.width) for part in strip([past, now], day[10])] == [(0, 200), (500, 500)]
    [today] = strip([{"started": day[0], "ended": None, "days": 0, "started_known": True}], day[0])
    assert today.width > 0
