"""The records of CloudTrail's log files, one at a time, and what those on image tags say.

A log file is one JSON object, {"Records": [...]}, as gzip ("CloudTrail log file examples", AWS CloudTrail User Guide).
DuckDB would hold a whole one in memory, see benchmarks/README.md; here it is a record.
"""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa

from ecr_audit.aws.answers import cleaned, quoted, timestamp
from ecr_audit.aws.ecr.image_tags import LONGEST_DIGEST, LONGEST_TAG
from ecr_audit.lake.tables import TIMESTAMP

_BEGIN = re.compile(r'\s*\{\s*"Records"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")

# Bytes that are decompressed at a time.
_PIECE = 1 << 18
# Far more than CloudTrail writes: an event has up to 1 MB ("Event size", AWS CloudTrail User Guide).
_LONGEST_RECORD = 8 << 20

PUSHED, DELETED, SET = "PutImage", "BatchDeleteImage", "PutImageTagMutability"

_LONGEST_TEXT = 1000

# Names of sessions and users are often e-mail addresses, which no table holds. IAM allows these characters in them and
# `+=,.@-`; user agents have others around one.
_ADDRESS = re.compile(r"""[^\s/:;<>"'()\[\]{}]+(@|%40)[^\s/:;<>"'()\[\]{}]+""")
_ADDRESS_REPLACED = "(e-mail address)"

EVENTS = pa.schema(
    [
        ("account_id", pa.string()),
        ("region", pa.string()),
        ("repository_name", pa.string()),
        ("event_name", pa.string()),
        # Null: the setting, which is the repository's.
        ("tag", pa.string()),
        # Null but for a push.
        ("digest", pa.string()),
        # The setting that it set.
        ("setting", pa.string()),
        ("exclusion_filters", pa.list_(pa.string())),
        ("event_time", TIMESTAMP),
        ("event_id", pa.string()),
        ("actor", pa.string()),
        ("source_address", pa.string()),
        ("user_agent", pa.string()),
    ]
)


@dataclass(frozen=True)
class Wanted:
    """The tags whose events are looked for, by (account id, region, repository name)."""

    # The digest that each tag was moved to.
    pushes: Mapping[tuple[str, str, str], Mapping[str, str]]
    # The tags that moved though the setting forbade it: for them, also deletions and changed settings.
    forbidden: Mapping[tuple[str, str, str], Set[str]]


def read_records(compressed: BinaryIO) -> Iterator[Any]:
    """The records of a log file. Raises ValueError when it is not one, or ends in the middle."""
    decoder, utf8 = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")()
    text, position, begun = "", 0, False
    try:
        with gzip.open(compressed, "rb") as file:
            while piece := file.read(_PIECE):
                text, position = text[position:] + utf8.decode(piece), 0
                if not begun:
                    found = _BEGIN.match(text)
                    if found is None:
                        raise ValueError("not a log file of CloudTrail: it does not begin with Records")
                    begun, position = True, found.end()
                while True:
                    position = _BETWEEN.match(text, position).end()  # type: ignore[union-attr]  # it matches anything
                    if text.startswith("]", position):
                        return
                    try:
                        record, position = decoder.raw_decode(text, position)
                    except json.JSONDecodeError:
                        # The rest of it is in the next piece.
                        if len(text) - position > _LONGEST_RECORD:
                            raise ValueError("not a log file of CloudTrail: a record is invalid or too long") from None
                        break
                    yield record
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise ValueError(f"not a gzip file, or truncated ({fault})") from fault
    except RecursionError:
        raise ValueError("not a log file of CloudTrail: a record is nested too deeply") from None
    raise ValueError("truncated: it ends within its records")


def read_event(record: Any, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """The rows, as EVENTS has them, of a record: one for each tag that is looked for. Raises ValueError."""
    if _at(record, "eventSource") != "ecr.amazonaws.com" or _at(record, "errorCode") is not None:
        return
    name, parameters = _at(record, "eventName"), _at(record, "requestParameters")
    if name not in (PUSHED, DELETED, SET):
        return
    # Whoever names no registry means that of the own account.
    account = _at(parameters, "registryId") or _at(record, "recipientAccountId")
    repository = (account, _at(record, "awsRegion"), _at(parameters, "repositoryName"))
    if not all(isinstance(part, str) for part in repository) or repository not in wanted.pushes:
        return
    response = _at(record, "responseElements")
    if name == PUSHED:
        image = _at(response, "image", "imageId")
        tag, digest = _at(parameters, "imageTag"), _at(image, "imageDigest")
        if not isinstance(tag, str) or digest is None or wanted.pushes[repository].get(tag) != digest:
            return
        yield _row(record, repository, tag=_word(tag, LONGEST_TAG), digest=_word(digest, LONGEST_DIGEST))
    elif name == DELETED:
        images = _at(response, "imageIds")
        deleted = [_at(image, "imageTag") for image in images] if isinstance(images, list) else []
        for tag in sorted(wanted.forbidden.get(repository, ())):
            if tag in deleted:
                yield _row(record, repository, tag=tag)
    elif repository in wanted.forbidden:
        filters = _at(parameters, "imageTagMutabilityExclusionFilters")
        patterns = [_at(each, "filter") for each in filters] if isinstance(filters, list) else []
        yield _row(
            record,
            repository,
            setting=_word(_at(parameters, "imageTagMutability"), LONGEST_TAG),
            exclusion_filters=[_word(each, LONGEST_TAG) for each in patterns],
        )


def _row(record: Any, repository: tuple[Any, Any, Any], **values: Any) -> dict[str, Any]:
    identity = _at(record, "userIdentity")
    # A service that acts by itself has no ARN, and nor has the caller in the log of another account.
    actor = _at(identity, "arn") or _at(identity, "invokedBy") or _at(identity, "accountId")
    account_id, region, repository_name = repository
    return {
        **dict.fromkeys(EVENTS.names),
        "account_id": account_id,
        "region": region,
        "repository_name": repository_name,
        "event_name": record["eventName"],
        "event_time": timestamp(_at(record, "eventTime")),
        "event_id": _shown(_at(record, "eventID")),
        "actor": _shown(actor),
        "source_address": _shown(_at(record, "sourceIPAddress")),
        "user_agent": _shown(_at(record, "userAgent")),
        **values,
    }


def without_addresses(text: str) -> str:
    """A text in which `(e-mail address)` stands for each e-mail address."""
    return _ADDRESS.sub(_ADDRESS_REPLACED, text)


def _shown(value: Any) -> str | None:
    return without_addresses(cleaned(value, _LONGEST_TEXT)) if isinstance(value, str) else None


def _word(value: Any, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError(f"{quoted(value)} is not a value of ECR")
    return cleaned(value, longest)


def _at(value: Any, *names: str) -> Any:
    """The value at names within one another; None where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
