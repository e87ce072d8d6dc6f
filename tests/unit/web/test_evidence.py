"""The page Evidence: nights sealed and signed, gaps, the head, the last verification; and its link in the bar."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from fastapi.testclient import TestClient

from ecr_audit.publish.build import publish
from ecr_audit.publish.sealing import SealedNights
from support.small_lake import SmallLake

DAYS = [date(2026, 11, day) for day in (1, 2, 3, 4)]
HEAD, KEY = "a" * 64, "b" * 64


def entry(day: date, sequence: int, signed_by: str | None, entries: int = 1) -> dict[str, object]:
    return {
        "snapshot_date": day,
        "sequence": sequence,
        "payload_sha256": HEAD if day == DAYS[3] else "c" * 64,
        "signed_by": signed_by,
        "sealed_at": datetime(2026, 11, day.day, 3, tzinfo=UTC),
        "entries": entries,
    }


def test_sealed_nights_and_gaps(
    client: TestClient, small_lake: SmallLake, published: Callable[..., None], folder: Path
) -> None:
    published(DAYS[0], repositories=[{}])
    off = client.get("/evidence").text
    assert "Nothing is sealed" in off
    assert 'href="/ecr-audit/evidence"' not in off
    for day in DAYS[1:]:
        small_lake.night(day, repositories=[{}])
    sealed = SealedNights(
        head=HEAD,
        nights=[entry(DAYS[0], 1, None), entry(DAYS[1], 3, KEY, 2), entry(DAYS[3], 4, KEY)],
        error="2026-11-03: sql/ has changed since it was evaluated",
        verified_at=datetime(2026, 11, 1, 5, tzinfo=UTC),
        verification="1 entry verified, the chain is whole",
    )
    publish(small_lake.lake, small_lake.catalog, folder, owner_tags=small_lake.owner_tags, sealed=sealed)
    page = client.get("/evidence").text
    assert 'href="/ecr-audit/evidence"' in page
    for shown in (
        HEAD,
        "3 of 4 nights",
        "1 unsigned",
        "1 evaluated night without an entry since 2026-11-01",
        "1 night, 4 entries in all",
        "sql/ has changed since it was evaluated",
        "2026-11-01 05:00 UTC: 1 entry verified, the chain is whole",
    ):
        assert shown in " ".join(page.split()), shown
    answer = client.get("/api/v1/publication").json()
    assert (answer["evidence_head"], list(answer["missing_exports"])) == (HEAD, ["evidence"])
