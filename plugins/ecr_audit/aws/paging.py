"""Answers of AWS that come in pages, as one list."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from botocore.exceptions import PaginationError
from botocore.parsers import ResponseParserError

from ecr_audit.aws.answers import quoted, request_id
from ecr_audit.aws.dispatcher import Call, Flow


class Pages(NamedTuple):
    """All items of a paged answer."""

    items: list[object]
    # AWS's id of the call for the last page.
    request_id: str | None


def read_pages(first: Call, token: str) -> Flow:
    """A flow that reads all pages of an answer. Returns Pages.

    An empty page may carry a token and is not the last; a token that comes back is.

    Raises PaginationError when AWS hands out the same token twice, which would go on for ever, and ResponseParserError
    for items that are not a list or a token that is not text: the rest could not be asked for.
    """
    found: list[object] = []
    given: set[str] = set()
    call = first
    while True:
        answer = yield call
        items, following = answer[call.expects], answer.get(token)
        if not isinstance(items, list):
            raise ResponseParserError(f"{call.method} returned {quoted(items)} for {call.expects}")
        found += items
        if following is None or following == "":
            return Pages(found, request_id(answer))
        if not isinstance(following, str):
            raise ResponseParserError(f"{call.method} returned the {token} {quoted(following)}")
        if following in given:
            raise PaginationError(message=f"{call.method} returned the same {token} twice")
        given.add(following)
        call = replace(first, parameters={**first.parameters, token: following})
