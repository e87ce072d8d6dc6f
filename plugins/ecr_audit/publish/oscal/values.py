"""Ids, text and props as OSCAL allows them.

Names of accounts, units and repositories, owners and reasons are other people's text: of any characters, any length.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from ecr_audit.text import plain, printable

# The project's place, in ids and for names that OSCAL does not define. No address can ever be below `.invalid`.
PLACE = "https://ecr-audit.invalid"
# Never changes: tools elsewhere know things by their ids. The macro export_uid has it, too; a test compares.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, PLACE)

# Characters that OSCAL's markup, a part of Markdown, gives a meaning.
_MARKUP = re.compile(r"([\\`*_\[\]<>{}$^~|!&\"])")


def export_uid(*parts: str) -> str:
    """The id of a thing, which stays for as long as the parts do."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(parts)))


def line(text: str | None) -> str:
    """Text as a value of OSCAL: on one line, printable, without blanks at its ends, and not empty."""
    return " ".join(printable(text or "").split()) or "-"


def markup(text: str | None) -> str:
    """Text as a paragraph of markup that shows it as it is."""
    return _MARKUP.sub(r"\\\1", line(text))


def title(text: str | None) -> str:
    """Text as a short title in markup that shows it as it is."""
    return _MARKUP.sub(r"\\\1", plain(text) or "-")


def props(**values: Any) -> dict[str, Any]:
    """The list of props, by their names with _ for -, but for None; {} without any, since no list may be empty."""
    given = [
        {"name": name.replace("_", "-"), "ns": f"{PLACE}/ns", "value": line(str(value))}
        for name, value in values.items()
        if value is not None
    ]
    return {"props": given} if given else {}


def filled(**lists: list[Any]) -> dict[str, Any]:
    """The lists that have members, by their names with _ for -: no list may be empty."""
    return {name.replace("_", "-"): members for name, members in lists.items() if members}
