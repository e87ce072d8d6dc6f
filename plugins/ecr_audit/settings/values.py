"""The kinds of values that settings have, and how their text is parsed."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator

from ecr_audit.place import place_of
from ecr_audit.text import nearest
from ecr_audit.vocabulary import ExportFormat, Facet

# How objects on S3 are encrypted: with S3's own keys, the account's KMS key for S3, or a KMS key (or alias) by its ARN.
S3_ENCRYPTION = re.compile(r"AES256|aws:kms|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[^ ]+")
# A standard topic: a FIFO one, whose name ends with .fifo, takes only messages with a group.
SNS_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}")

# Separators of the entries of a list. Names of tags and people contain blanks; account ids and regions do not.
_SEPARATORS = re.compile(r"[,;]")
_SEPARATORS_OR_BLANKS = re.compile(r"[,;\s]")


def _split(value: Any, separators: re.Pattern[str] = _SEPARATORS) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(entry for part in separators.split(value) if (entry := part.strip()))


def _all_or_split(value: Any) -> Any:
    """`all` is the empty tuple: no limit."""
    return () if isinstance(value, str) and value.lower() == "all" else _split(value, _SEPARATORS_OR_BLANKS)


def _words(known: type[StrEnum], noun: str) -> BeforeValidator:
    """Parses a list of known words, in the order of their declaration; `all`, or `none`."""

    def read(text: str) -> tuple[StrEnum, ...]:
        words = _split(text.lower(), _SEPARATORS_OR_BLANKS)
        if words in (("all",), ("none",)):
            return tuple(known) if words == ("all",) else ()
        if unknown := [word for word in words if word not in set(known)]:
            near = nearest(unknown[0], known)
            hint = f" Did you mean {near}?" if near else ""
            raise ValueError(f"{', '.join(unknown)}: not among the {noun}.{hint}")
        return tuple(word for word in known if word in words)

    return if_text(read)


def each(entries: tuple[str, ...], read: Callable[[str], str]) -> tuple[str, ...]:
    """Every entry as `read` returns it. Raises one ValueError with all its messages."""
    taken, faults = [], []
    for entry in entries:
        try:
            taken.append(read(entry))
        except ValueError as fault:
            faults.append(str(fault))
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(taken)


def if_text(read: Callable[[str], Any]) -> BeforeValidator:
    """Parses the text of a variable; values given by a program are not changed."""
    return BeforeValidator(lambda value: read(value) if isinstance(value, str) else value)


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
NamesOrAll = Annotated[tuple[str, ...], BeforeValidator(_all_or_split)]
Place = Annotated[str, if_text(place_of)]
Facets = Annotated[tuple[Facet, ...], _words(Facet, "facets")]
ExportFormats = Annotated[tuple[ExportFormat, ...], _words(ExportFormat, "formats")]


def valid(text: str) -> dict[str, Any]:
    """The valid values, for the message of a fault."""
    return {"valid": text}
