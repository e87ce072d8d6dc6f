"""The files of the publication: their purposes, sizes and downloads."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from ecr_audit.publish.exports import ASFF, CONTROLS, LAKE_VIEWS, OCSF, WORKBOOK
from ecr_audit.publish.oscal import FRAMEWORKS, file_name
from ecr_audit.publish.publication import CHECKSUMS, DATABASE, PublicationError
from ecr_audit.web.page import DownloadDep, Page, PageDep
from ecr_audit.web.published import Unreadable
from ecr_audit.web.spool import SpooledFile

router = APIRouter(include_in_schema=False)

# In this order; all others are tables.
PURPOSES = {
    OCSF: "Findings for a SIEM or a security lake: OCSF Compliance Findings, one on each line",
    ASFF: "Findings for AWS Security Hub: ASFF, one on each line",
    **{file_name(each): "Assessment results for auditors and GRC tools: OSCAL" for each in FRAMEWORKS},
    CONTROLS: "The assessment of each section of all frameworks, for GRC tools",
    WORKBOOK: "For auditors: Excel, with a cover and a sheet for each question",
    DATABASE: "All tables in one file, for SQL, notebooks and BI: DuckDB",
    LAKE_VIEWS: "Views over all nights of the lake, for DuckDB",
    CHECKSUMS: "The SHA-256 of each file; check a copy with sha256sum --check",
}

_TYPES = {"gz": "application/gzip", "json": "application/json", "csv": "text/csv"}


@dataclass(frozen=True)
class File:
    """A file of the publication, with its size in bytes."""

    name: str
    size: int


@router.get("/exports", response_class=HTMLResponse)
def exports(page: PageDep) -> HTMLResponse:
    """Files for other tools first, then the tables."""
    sizes = _sizes(page)
    tables: dict[str, list[File]] = {}
    for name in sorted(sizes.keys() - PURPOSES.keys()):
        tables.setdefault(name.rpartition(".")[0], []).append(File(name, sizes[name]))
    return page.render(
        "exports.html",
        files=[(File(name, sizes[name]), purpose) for name, purpose in PURPOSES.items() if name in sizes],
        tables=tables,
        missing_exports=page.publication.missing_exports,
    )


@router.get("/exports/{name}", response_class=SpooledFile)
def export(page: DownloadDep, name: str) -> SpooledFile:
    """A file as it was published, under the name of its night."""
    files = page.publication.published.files
    if files is None or name not in _sizes(page):
        raise HTTPException(404, f"The publication has no file '{name}'.")
    night = f"{page.publication.snapshot_date:%Y-%m-%d}"
    try:
        return page.send(
            lambda path: files.fetch(page.publication.published, name, path),
            f"{night}-{name}",
            _TYPES.get(name.rpartition(".")[2], "application/octet-stream"),
        )
    except PublicationError as fault:
        raise Unreadable(str(fault)) from fault


def _sizes(page: Page) -> dict[str, int]:
    files = page.publication.published.files
    try:
        return {} if files is None else files.sizes(page.publication.published)
    except PublicationError as fault:
        raise Unreadable(str(fault)) from fault
