"""Long lists, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

PageQuery = Annotated[int, Query(ge=1, le=1_000_000, description="Page number, from 1.")]
SearchQuery = Annotated[str, Query(max_length=200, description="Part of a name or id; case does not matter.")]


@dataclass(frozen=True)
class Paging:
    """One page of a list of `count` rows."""

    count: int
    page: int
    pages: int
    offset: int
    size: int


def paging(count: int, page: int, size: int) -> Paging:
    """The page with that number, or the last page if there are fewer."""
    pages = max(1, -(-count // size))
    page = min(page, pages)
    return Paging(count, page, pages, (page - 1) * size, size)
