"""NDJSON: a whole list, one record a line, written to a file before the first byte is sent, as other downloads are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import duckdb
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError

from ecr_audit.web.api.records import Record
from ecr_audit.web.page import Page
from ecr_audit.web.published import DOWNLOAD_SECONDS, unsorted
from ecr_audit.web.spool import SpooledFile

MEDIA_TYPE = "application/x-ndjson"

# Response headers for the fields that a JSON page has besides its items; as the OpenAPI document describes them.
SNAPSHOT_DATE = "Snapshot-Date"
PUBLICATION_VERSION = "Publication-Version"
HEADERS = {
    SNAPSHOT_DATE: {"description": "With NDJSON: the `snapshot_date` of a JSON page.", "schema": {"type": "string"}},
    PUBLICATION_VERSION: {"description": "With NDJSON: the `version` of a JSON page.", "schema": {"type": "string"}},
}

# Parameters that apply only to JSON pages.
_PAGE_PARAMETERS = ("page", "size", "sort")

# JSON allows these unescaped in strings, but many programs, such as Python's str.splitlines, read them as line ends.
_ESCAPED_LINE_ENDS = {chr(code): f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}

# Lines fetched from DuckDB at a time.
_LINES_AT_ONCE = 1000


def content(record: type[Record]) -> dict[str, Any]:
    """The answer in the OpenAPI document; `itemSchema` describes a line (OpenAPI 3.2, "Sequential Media Types")."""
    return {MEDIA_TYPE: {"itemSchema": {"$ref": f"#/components/schemas/{record.__name__}"}}}


def is_asked(request: Request) -> bool:
    """Whether the request wants NDJSON: by `format`, else by the Accept header. JSON is the default."""
    if chosen := request.query_params.get("format"):
        return chosen == "ndjson"
    quality = _qualities(request.headers.get("accept", ""))
    return quality.get(MEDIA_TYPE, 0) > 0 and quality[MEDIA_TYPE] >= quality.get("application/json", 0)


def _qualities(accept: str) -> dict[str, float]:
    """The weight of each media type in the header (RFC 9110, 12.5.1); invalid weights count as 1."""
    qualities = {}
    for each in accept.split(","):
        name, *parameters = (part.strip().lower() for part in each.split(";"))
        weight = next((text.removeprefix("q=") for text in parameters if text.startswith("q=")), "1")
        qualities[name] = float(weight) if weight.replace(".", "", 1).isdecimal() else 1.0
    return qualities


async def _turn(request: Request) -> AsyncIterator[None]:
    """A whole list waits in the queue of downloads, a page of it in that of pages."""
    turns = request.app.state.download_turns if is_asked(request) else request.app.state.page_turns
    async with turns.turn():
        yield


def open_list(request: Request, _: Annotated[None, Depends(_turn, scope="function")]) -> Iterator[Page]:
    """The dependency of every list: like `page.open_page`, in the queue of its format."""
    with request.app.state.published.reading() as publication:
        yield Page(request, publication)


ListDep = Annotated[Page, Depends(open_list, scope="function")]


def send_whole(page: Page, record: type[Record], query: str, parameters: Mapping[str, Any]) -> SpooledFile:
    """All rows of `sql/pages/<query>.sql`, from one publication, which the headers name.

    They come in the order of the published table: sorting a million would exceed the memory limit.
    Raises RequestValidationError when a page or an order is asked for, duckdb.Error, TooSlow and Busy.
    """
    for name in _PAGE_PARAMETERS:
        if page.request.query_params.get(name):
            message = f"NDJSON returns the whole list, unsorted. Omit {name}, or use format=json"
            fault = {"type": "whole", "loc": ("query", name), "msg": message, "input": page.request.query_params[name]}
            raise RequestValidationError([fault])

    def make(path: Path) -> None:
        with page.publication.connection(DOWNLOAD_SECONDS) as database:
            write_records(database, f"(\n{unsorted(query)}\n)", record, path, parameters)

    name = page.request.url.path.rpartition("/")[2]
    answer = page.send(make, f"{name}-{page.publication.snapshot_date}.ndjson", MEDIA_TYPE)
    answer.headers[SNAPSHOT_DATE] = str(page.publication.snapshot_date)
    answer.headers[PUBLICATION_VERSION] = page.publication.version
    return answer


def write_records(
    connection: duckdb.DuckDBPyConnection, source: str, record: type[Record], path: Path, parameters: Mapping[str, Any]
) -> None:
    """Write each row as its model's JSON. DuckDB makes it: pydantic would hold Python's lock for minutes."""
    given = dict(parameters) or None
    described = connection.execute(f"FROM {source} LIMIT 0", given).description or ()
    kinds = {name: str(kind) for name, kind, *_ in described}
    fields = ", ".join(_field(name, kinds.get(name, "")) for name in record.model_fields)
    rows = connection.execute(f"SELECT to_json(item)::VARCHAR FROM (SELECT {fields} FROM {source}) AS item", given)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        while lines := rows.fetchmany(_LINES_AT_ONCE):
            for (line,) in lines:
                for character, escaped in _ESCAPED_LINE_ENDS.items():
                    line = line.replace(character, escaped)
                file.write(f"{line}\n")


def _field(name: str, kind: str) -> str:
    """A column as JSON has it: times with T and Z, and microseconds where there are some, as pydantic writes them."""
    if not kind.startswith("TIMESTAMP"):
        return f'"{name}"'
    whole, exact = (f"strftime(\"{name}\", '%Y-%m-%dT%H:%M:%S{fraction}Z')" for fraction in ("", ".%f"))
    return f'CASE WHEN date_trunc(\'second\', "{name}") = "{name}" THEN {whole} ELSE {exact} END AS "{name}"'
