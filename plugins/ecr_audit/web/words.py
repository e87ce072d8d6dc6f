"""Filters and globals of the templates: how pages format numbers, dates and states."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

from markupsafe import Markup

from ecr_audit import text
from ecr_audit.aws.advice import advice_on
from ecr_audit.text import age, percent, plural
from ecr_audit.unit_paths import split_path
from ecr_audit.vocabulary import (
    ACTION_OUTCOME_WORDS,
    CHANGE_WORDS,
    DEMO_ORGANIZATION_ID,
    EVENT_WORDS,
    FACET_WORDS,
    NOT_SEEN_BETWEEN_READS,
    OBJECT_WORDS,
    OVERWRITABLE_WORDS,
    PLAN_ACTION_WORDS,
    PLAN_RULE_REASONS,
    STATUS_WORDS,
    TAG_MOVE_MEANINGS,
    TAG_MOVE_WORDS,
    TRAIL_WORDS,
    image_tags_offer,
    undetermined_reasons,
)
from ecr_audit.web.outcomes import OUTCOMES

# Objects of an input without words.
_OBJECTS = ("object", "objects")

NONE = "\N{EN DASH}"


def number(value: float | None) -> str:
    """1234567 -> 1,234,567."""
    return NONE if value is None else f"{value:,.0f}"


def day(value: date | None) -> str:
    """2026-11-23."""
    return NONE if value is None else text.day(value)


def moment(value: datetime | None) -> str:
    """2026-11-23 02:13 UTC; published times are UTC."""
    return NONE if value is None else text.moment(value)


def short_policy(policy_id: str) -> str:
    """The last part of a policy's id, which is its folder's name."""
    return policy_id.rpartition("/")[2]


def breakable(text: str) -> Markup:
    """A path that may be broken after each slash, where it is too long for its line."""
    return Markup("/<wbr>").join(text.split("/"))


def objects(count: float, kind: str, adjective: str = "") -> str:
    """1, registries, evaluated -> 1 evaluated registry. Those of an input that has no words of its own are objects."""
    return plural(count, *(f"{adjective} {noun}".strip() for noun in OBJECT_WORDS.get(kind, _OBJECTS)))


def object_noun(kind: str, number: int = 1) -> str:
    """registries -> Registry; with another number, Registries."""
    return OBJECT_WORDS.get(kind, _OBJECTS)[number != 1].capitalize()


def reads(facets: Sequence[str]) -> str:
    """Words for the facets that a policy reads."""
    return ", ".join(FACET_WORDS[facet] for facet in facets) or "list of repositories"


def short_digest(digest: str) -> str:
    """sha256:3f9a1c7b2d41…, of its 64 digits; anything else as it is, but not longer than a name."""
    known = re.fullmatch(r"([a-z0-9]{1,12}:[0-9a-f]{12})[0-9a-f]{20,}", digest)
    return f"{known[1]}…" if known else text.plain(digest)


def pretty_json(text: str) -> str:
    """JSON with indents; other text as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text


def file_size(count: int) -> str:
    """1,234,567 bytes -> 1.2 MB; less than a kilobyte in bytes."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "file_size": file_size,
    "percent": percent,
    "day": day,
    "moment": moment,
    "age": age,
    "plural": plural,
    "objects": objects,
    "object_noun": object_noun,
    "reads": reads,
    "pretty_json": pretty_json,
    "short_digest": short_digest,
    "short_policy": short_policy,
    "breakable": breakable,
    "unit_names": split_path,
}

GLOBALS: dict[str, Any] = {
    "STATUS_WORDS": STATUS_WORDS,
    "OVERWRITABLE_WORDS": OVERWRITABLE_WORDS,
    "ACTION_OUTCOME_WORDS": ACTION_OUTCOME_WORDS,
    "CHANGE_WORDS": CHANGE_WORDS,
    "EVENT_WORDS": EVENT_WORDS,
    "DEMO_ORGANIZATION_ID": DEMO_ORGANIZATION_ID,
    "FACET_WORDS": FACET_WORDS,
    "NONE": NONE,
    "NOT_SEEN_BETWEEN_READS": NOT_SEEN_BETWEEN_READS,
    "TAG_MOVE_MEANINGS": TAG_MOVE_MEANINGS,
    "TAG_MOVE_WORDS": TAG_MOVE_WORDS,
    "TRAIL_WORDS": TRAIL_WORDS,
    "OUTCOMES": OUTCOMES,
    "PLAN_ACTION_WORDS": PLAN_ACTION_WORDS,
    "PLAN_RULE_REASONS": PLAN_RULE_REASONS,
    "advice_on": advice_on,
    "image_tags_offer": image_tags_offer,
    "undetermined_reasons": undetermined_reasons,
}
