"""Image tags over HTTP: ten nights of an emulated AWS with gaps, against what the world itself did between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from demo.emulated_aws.faults import Delay, Fault, Refuse, Rewrite, Throttle
from demo.emulated_aws.world import Account, Image, Region, Repository, World
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import IMAGE_TAG_READS, IMAGE_TAGS, TAG_MOVES
from ecr_audit.lake.tables import LakeTable
from support.lakes import committed

from .conftest import DAY, HUB, Audit, MakeAudit

MEMBER, OTHER, REGION = "100000000001", "100000000002", "eu-west-1"
HOME = (HUB, REGION)


def digest(name: str) -> str:
    return f"sha256:{name:0>64}"


@dataclass
class Changing:
    """A world whose repositories change between nights: tags by repository, by (account id, region)."""

    tags: dict[tuple[str, str], dict[str, dict[str, str]]]
    created_at: dict[str, float] = field(default_factory=dict)
    settings: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    archived: frozenset[str] = frozenset()
    assumable: bool = True

    def world(self) -> World:
        return World(
            accounts={
                HUB: Account(HUB, "hub", "r-demo"),
                MEMBER: Account(MEMBER, "member", "r-demo", assumable=self.assumable),
                OTHER: Account(OTHER, "other", "r-demo"),
            },
            regions=[Region(REGION), Region("us-east-1")],
            hub_account_id=HUB,
            management_account_id=HUB,
            repository_source=self._repositories,
        )

    def _repositories(self, account_id: str, region: str) -> list[Repository]:
        return [
            Repository(
                name,
                self.created_at.get(name, 1_600_000_000.0),
                *self.settings.get(name, ("MUTABLE", ())),
                images=(
                    *(Image(points_to, (tag,), archived=points_to in self.archived) for tag, points_to in tags.items()),
                    Image(digest("untagged")),
                ),
            )
            for name, tags in self.tags.get((account_id, region), {}).items()
        ]


class TagAudit:
    """Nights of an audit that reads image tags, one a day from DAY on."""

    def __init__(self, audit: Audit, changing: Changing) -> None:
        self.audit, self.changing = audit, changing
        self.day = DAY - timedelta(days=1)

    def night(self, *, lost: bool = False, again: bool = False) -> Commit:
        """An inventory, and its tags. `lost`: the batches are killed. `again`: read and committed twice."""
        self.day += timedelta(days=1)
        self.audit.aws.world = self.changing.world()
        self.audit.run(self.day)
        for _ in range(1 + again):
            commit = self.audit.read_image_tags(self.day, lost=lost)
        return commit

    def rows(self, table: LakeTable, day: date | None = None) -> list[dict[str, Any]]:
        lake = self.audit.lake
        return list(lake.read_table(committed(lake, "image_tags", day or self.day), table).to_pylist())

    def moves(self) -> set[tuple[str, str, str, str | None, str | None]]:
        rows = self.rows(TAG_MOVES)
        found = {
            (row["repository_name"], row["tag"], row["kind"], row["old_digest"], row["new_digest"]) for row in rows
        }
        assert len(found) == len(rows)
        return found

    def counts(self, name: str) -> tuple[int | None, int | None]:
        """The tags of a repository that were added, and removed, since the read before."""
        row = self.reads()[name]
        return row["tags_added"], row["tags_removed"]

    def reads(self) -> dict[str, dict[str, Any]]:
        return {row["repository_name"]: row for row in self.rows(IMAGE_TAG_READS)}

    def outcomes(self) -> dict[str, str | None]:
        return {name: row["outcome"] for name, row in self.reads().items()}

    def current(self, name: str) -> dict[str, str]:
        arn_ends = f":repository/{name}"
        return {
            row["tag"]: row["digest"]
            for row in self.rows(IMAGE_TAGS)
            if row["is_current"] and row["repository_arn"].endswith(arn_ends)
        }


def start(audit_of: MakeAudit, changing: Changing, *faults: Fault, **settings: Any) -> TagAudit:
    given = {"image_tags": "all", "collect": "none", **settings}
    return TagAudit(audit_of(changing.world(), *faults, **given), changing)


A, B, C = digest("a"), digest("b"), digest("c")


def moved(name: str, tag: str, kind: str, old: str | None, new: str | None) -> tuple[Any, ...]:
    return (name, tag, kind, old, new)


def test_ten_nights_with_gaps_find_every_move_and_make_up_none(audit_of: MakeAudit) -> None:
    many = {f"1.0.{number}": digest(str(number)) for number in range(2_500)}
    changing = Changing(
        {
            HOME: {
                "many": dict(many),
                "app": {"latest": A, "1.0.0": A, "1.1.0": A, "cache": B},
                "sealed": {"1.0.0": A, "dev-1": A},
                "born-again": {"latest": A},
            },
            (MEMBER, REGION): {"dark": {"latest": A}},
            (OTHER, "us-east-1"): {"unread": {"latest": A, "gone": A}},
        },
        settings={"sealed": ("IMMUTABLE_WITH_EXCLUSION", ("dev-*",))},
    )
    home, tags = changing.tags[HOME], changing.tags
    unreadable = False

    def cut(body: bytes) -> bytes:
        return body[: len(body) // 2] if unreadable else body

    nights = start(audit_of, changing, Fault(Rewrite(cut), operation="ListImages", account=OTHER))

    # 1: nothing to compare with.
    nights.night()
    assert nights.moves() == set()
    assert set(nights.outcomes().values()) == {"COLLECTED"}
    assert not any(row["compared"] for row in nights.reads().values())
    assert nights.reads()["many"] | {"tags": 2_500, "calls": 3} == nights.reads()["many"]
    assert nights.current("many") == many

    # 2: moves; the same again when the night is read and committed twice. One repository is unread for three nights.
    unreadable = True
    home["app"] = {"latest": B, "1.0.0": A, "1.1.0": A, "cache": C, "new": C}
    home["many"]["1.0.1700"] = A
    nights.night(again=True)
    expected = {
        moved("app", "latest", "moved", A, B),
        moved("app", "cache", "moved", B, C),
        moved("many", "1.0.1700", "moved", many["1.0.1700"], A),
    }
    assert nights.moves() == expected
    assert nights.counts("app") == (1, 0)
    assert {row["tag"]: row["is_release"] for row in nights.rows(TAG_MOVES)} == {
        "latest": False,
        "cache": False,
        "1.0.1700": True,
    }

    # 3: back; two are removed; the account goes dark, its tags move.
    home["app"] |= {"latest": A}
    del home["app"]["new"], home["app"]["1.1.0"]
    changing.assumable = False
    tags[MEMBER, REGION]["dark"] = {"latest": B}
    tags[OTHER, "us-east-1"]["unread"] = {"latest": C}
    nights.night()
    assert nights.moves() == {moved("app", "latest", "moved_back", B, A)}
    assert nights.counts("app") == (0, 2)
    assert nights.outcomes()["dark"] == "ASSUME_ROLE_DENIED"
    assert nights.outcomes()["unread"] == "FAILED"
    assert nights.counts("unread") == (None, None)

    # 4: still dark; the tag is set again, as it was; a sealed tag moves, and one that its setting leaves open.
    home["app"]["new"] = C
    tags[OTHER, "us-east-1"]["unread"] = {"latest": B}
    home["sealed"] = {"1.0.0": B, "dev-1": B}
    nights.night()
    assert nights.moves() == {
        moved("sealed", "1.0.0", "moved_though_immutable", A, B),
        moved("sealed", "dev-1", "moved", A, B),
    }
    assert nights.counts("app") == (1, 0)

    # 5: seen again: one move, however long it was not; so for a tag that was removed for two nights, to come back as
    # another; a repository that is deleted and created again has a new start.
    home["app"]["1.1.0"] = C
    changing.assumable, unreadable = True, False
    home["born-again"] = {"latest": B}
    changing.created_at["born-again"] = datetime.now(UTC).timestamp()
    nights.night()
    assert nights.moves() == {
        moved("app", "1.1.0", "moved", A, C),
        moved("dark", "latest", "moved", A, B),
        moved("unread", "latest", "moved", A, B),
    }
    assert nights.counts("unread") == (0, 1)
    assert nights.reads()["born-again"]["compared"] is False
    assert nights.current("born-again") == {"latest": B}

    # 6: all batches are killed, and what moved meanwhile is found in the next night.
    home["app"]["latest"] = C
    home["born-again"] = {"latest": A}
    commit = nights.night(lost=True)
    assert commit.details["lost_batches"]
    assert nights.moves() == set()
    assert {row["error_code"] for row in nights.reads().values()} == {"BatchLost"}
    assert nights.current("app")["latest"] == A

    # 7: born-again had A before, but that was another repository's.
    nights.night()
    assert nights.moves() == {
        moved("app", "latest", "moved", A, C),
        moved("born-again", "latest", "moved", B, A),
    }

    # 8: an archived image keeps its tags; a deleted repository's tags are not removed one by one.
    changing.archived = frozenset({C})
    del home["born-again"]
    nights.night()
    assert nights.moves() == set()
    assert "born-again" not in nights.reads()
    assert nights.current("born-again") == {}

    # 9: the repository becomes immutable, and keeps its history; 10: one tag moves all the same.
    changing.settings["app"] = ("IMMUTABLE", ())
    nights.night()
    assert nights.moves() == set()
    home["app"]["latest"] = B
    nights.night()
    assert nights.moves() == {moved("app", "latest", "moved_though_immutable", C, B)}
    history = [
        (row["digest"], row["is_current"])
        for row in nights.rows(IMAGE_TAGS)
        if row["repository_arn"].endswith("/app") and row["tag"] == "latest"
    ]
    assert history == [(A, False), (B, False), (A, False), (C, False), (B, True)]
    # Each repository is in the end as the world has it.
    for repositories in tags.values():
        for name, expected_tags in repositories.items():
            assert nights.current(name) == expected_tags
    # Intervals are in the newest nights alone, moves in all.
    lake = nights.audit.lake
    assert len(lake.dates_with_files(IMAGE_TAGS)) == 2
    assert len(lake.dates_with_files(TAG_MOVES)) == 10


def test_a_page_that_fails_in_the_middle_compares_nothing_of_its_repository(audit_of: MakeAudit) -> None:
    many = {f"1.0.{number}": digest(str(number)) for number in range(2_500)}
    changing = Changing({HOME: {"many": dict(many), "app": {"latest": A}}})
    failing = False

    def cut(body: bytes) -> bytes:
        return body[: len(body) // 2] if failing and b'"1.0.1500"' in body else body

    nights = start(audit_of, changing, Fault(Rewrite(cut), operation="ListImages"))
    nights.night()
    failing = True
    changing.tags[HOME] = {"many": {**many, "1.0.7": A}, "app": {"latest": B}}
    nights.night()
    assert nights.moves() == {moved("app", "latest", "moved", A, B)}
    failed = nights.reads()["many"]
    assert (failed["outcome"], failed["error_code"], failed["complete"]) == ("FAILED", "ResponseParserError", False)
    assert failed["tags"] is None
    assert nights.current("many") == many
    failing = False
    nights.night()
    assert nights.moves() == {moved("many", "1.0.7", "moved", many["1.0.7"], A)}
    [move] = nights.rows(TAG_MOVES)
    # Between the complete reads, those in the first night and the third.
    assert move["seen_before"] == next(
        row["complete_at"] for row in nights.rows(IMAGE_TAG_READS, DAY) if row["repository_name"] == "many"
    )


def test_a_throttled_registry_ends_and_delays_no_other(audit_of: MakeAudit) -> None:
    changing = Changing(
        {
            HOME: {"app": {"latest": A}},
            (MEMBER, REGION): {f"team/{number:02}": {"latest": A} for number in range(40)},
        }
    )
    throttled = Fault(Throttle(), operation="ListImages", account=MEMBER)
    nights = start(audit_of, changing, throttled, target_seconds=1, registry_concurrency=4)
    nights.night()
    outcomes = nights.outcomes()
    assert outcomes.pop("app") == "COLLECTED"
    assert set(outcomes.values()) == {"THROTTLED"}
    reads = nights.reads()
    tried = {name for name, row in reads.items() if row["read_at"] and name != "app"}
    assert 0 < len(tried) < 40
    # Those that had no turn are first in the next night.
    nights.night()
    again = {name for name, row in nights.reads().items() if row["read_at"] and name != "app"}
    assert len(again) == 2 * len(tried)


def test_a_denied_repository_has_its_reason(audit_of: MakeAudit) -> None:
    changing = Changing({HOME: {"app": {"latest": A}}, (MEMBER, REGION): {"closed": {"latest": A}}})
    denied = Fault(Refuse("AccessDeniedException", "no ListImages"), operation="ListImages", account=MEMBER)
    nights = start(audit_of, changing, denied)
    nights.night()
    row = nights.reads()["closed"]
    assert (row["outcome"], row["error_code"], row["error_message"]) == (
        "ACCESS_DENIED",
        "AccessDeniedException",
        "no ListImages",
    )
    assert row["calls"] == 1
    assert nights.current("closed") == {}


def test_repositories_that_the_batch_has_no_time_for_are_first_in_the_next_night(audit_of: MakeAudit) -> None:
    """And a registry that is as slow blocks no other."""
    slow_ones = {f"team/{number:02}": {"latest": A} for number in range(30)}
    changing = Changing({HOME: slow_ones, (MEMBER, REGION): {"app": {"latest": A}}})
    slow = Fault(Delay(1.5), operation="ListImages", account=HUB)
    nights = start(audit_of, changing, slow, registry_concurrency=1, batch_seconds=10)
    settings = nights.audit.settings
    nights.audit.settings = settings.model_copy(update={"batch_seconds": 4.0})
    nights.night()
    first = {name for name, row in nights.reads().items() if row["complete"]}
    left = {row["error_code"] for row in nights.reads().values() if not row["complete"]}
    assert "app" in first
    assert 1 < len(first) < 30
    assert left == {"BatchTimeUp"}
    changing.tags[MEMBER, REGION]["app"] = {"latest": B}
    nights.night()
    assert nights.moves() == {moved("app", "latest", "moved", A, B)}
    second = {name for name, row in nights.reads().items() if row["complete"]}
    assert len(second) > 1
    assert second & first == {"app"}


def test_only_repositories_with_an_overwritable_tag_are_read_by_default_of_the_setting(audit_of: MakeAudit) -> None:
    changing = Changing(
        {HOME: {"open": {"latest": A}, "sealed": {"latest": A}}}, settings={"sealed": ("IMMUTABLE", ())}
    )
    nights = start(audit_of, changing, image_tags="overwritable")
    nights.night()
    assert nights.outcomes() == {"open": "COLLECTED", "sealed": None}
    # It becomes immutable: its history stays, and goes on when it can be overwritten again.
    changing.settings["open"] = ("IMMUTABLE", ())
    nights.night()
    assert nights.current("open") == {"latest": A}
    del changing.settings["open"]
    changing.tags[HOME]["open"] = {"latest": B}
    nights.night()
    assert nights.moves() == {moved("open", "latest", "moved", A, B)}


def test_intervals_that_ended_long_ago_go_and_moves_stay(audit_of: MakeAudit) -> None:
    changing = Changing({HOME: {"app": {"latest": A}}})
    nights = start(audit_of, changing, retention_days=1)
    nights.night()
    changing.tags[HOME]["app"] = {"latest": B}
    nights.night()
    assert [row["digest"] for row in nights.rows(IMAGE_TAGS)] == [A, B]
    # Nights are dated from DAY on and read now: the cutoff is of the night's date.
    nights.day = datetime.now(UTC).date() + timedelta(days=2)
    nights.night()
    assert [row["digest"] for row in nights.rows(IMAGE_TAGS)] == [B]
    assert [row["kind"] for row in nights.rows(TAG_MOVES, DAY + timedelta(days=1))] == ["moved"]


def test_a_lake_on_s3_has_the_same_history(audit_of: MakeAudit, bucket: str) -> None:
    changing = Changing({HOME: {"app": {"latest": A}}, (MEMBER, REGION): {"service": {"latest": A}}})
    nights = start(audit_of, changing, batch_accounts=1)
    lake = nights.audit.lake = Lake(f"s3://{bucket}/ecr/lake")
    nights.night()
    for points_to in (B, A):
        changing.tags[HOME]["app"] = {"latest": points_to}
        nights.night(again=True)
    assert nights.moves() == {moved("app", "latest", "moved_back", B, A)}
    assert nights.current("service") == {"latest": A}
    assert len(lake.dates_with_files(IMAGE_TAGS)) == 2
    assert len(lake.storage.files(f"image_tags/snapshot_date={nights.day}")) == 1
    assert lake.storage.folders("_parts/image_tags") == [str(nights.day)]
