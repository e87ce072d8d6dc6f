"""The bar at the top of every page, and below it the pages of the group that is shown."""

from __future__ import annotations

from dataclasses import dataclass

from ecr_audit.web.urls import Urls


@dataclass(frozen=True)
class Entry:
    """A link of the bar; `current` when the page that is shown belongs to it.

    `pages` are those of its group, itself among them; empty where it has none. The bar has to fit one line of a laptop,
    so pages on the same subject share an entry.
    """

    label: str
    address: str
    current: bool
    pages: tuple[Entry, ...] = ()


def navigation(urls: Urls, path: str, with_tag_moves: bool = False, with_evidence: bool = False) -> list[Entry]:
    """The bar, on the page at `path`; `with_…` where image tags are read, and where nights are sealed."""
    here = path.removeprefix(urls.root)

    def entry(label: str, address: str, *below: str) -> Entry:
        return Entry(label, address, here.startswith(below) if below else here in ("", "/"))

    def group(label: str, *pages: Entry) -> Entry:
        return Entry(label, pages[0].address, any(page.current for page in pages), pages)

    is_run = here.startswith("/remediation/runs")
    plan = Entry("Plan", urls.remediation(), here.startswith("/remediation") and not is_run)
    return [
        entry("Overview", urls.overview()),
        entry("Findings", urls.findings(), "/findings", "/repositories", "/registries"),
        *([entry("Tag moves", urls.tag_moves(), "/tag-moves")] if with_tag_moves else []),
        group("Remediation", plan, Entry("Runs", urls.remediation_runs(), is_run)),
        group(
            "Policies",
            entry("Policies", urls.policies(), "/policies"),
            entry("Frameworks", urls.frameworks(), "/frameworks", "/sections"),
        ),
        group(
            "Organization",
            entry("Organization", urls.organization(), "/organization", "/accounts"),
            entry("Coverage", urls.coverage(), "/coverage"),
        ),
        group(
            "Data",
            entry("Exports", urls.exports(), "/exports"),
            *([entry("Evidence", urls.evidence(), "/evidence")] if with_evidence else []),
            entry("API", urls.api("/docs"), "/api"),
        ),
    ]
