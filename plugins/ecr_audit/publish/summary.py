"""The summary in the terminal, read from the published file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from ecr_audit.publish.changes import describe_changes
from ecr_audit.publish.policies import POLICIES_IN_ORDER, removed_policies, shown_policies
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.store import newest, publication_store
from ecr_audit.publish.summary_coverage import CoverageSummary
from ecr_audit.publish.summary_part import SummaryPart, account_words, summary_table
from ecr_audit.settings import Settings
from ecr_audit.text import percent, plain, plural
from ecr_audit.vocabulary import STATUS_WORDS, UNDETERMINED_REASONS, WAIVER_WORDS, undetermined_reasons
from ecr_audit.warehouse.statements import read_statement

# Rows shown of a list; the rest is in the published tables.
ACCOUNTS_SHOWN = 8
OWNERS_SHOWN = 5


def print_summary(settings: Settings, console: Console) -> None:
    """Print the summary of the published file of these settings."""
    newest_published = newest(settings)
    with open_published(newest_published.database) as published:
        coverage = CoverageSummary(published, console, settings.min_coverage)
        for part in (coverage.organization, coverage.not_collected):
            part()
            console.print()
        _ComplianceSummary(published, console).print()
        [(head,)] = published.execute("SELECT evidence_head FROM publication").fetchall()
    if head:
        console.print(f"[bold]{'Evidence':<18}[/] newest entry {head}", soft_wrap=True)
    for name, why in newest_published.missing_exports.items():
        console.print(f"[bold]{'Not written':<18}[/] {escape(plain(f'{name}: {why}'))}", soft_wrap=True)
    _print_next_steps(settings, console, is_sealed=bool(head))


class _ComplianceSummary(SummaryPart):
    def __init__(self, published: duckdb.DuckDBPyConnection, console: Console) -> None:
        super().__init__(published, console)
        # The policy whose changes, accounts and owners are shown.
        self._first = shown_policies(published)[0]

    def print(self) -> None:
        for part in (self._verdicts, self._sections, self._waivers):
            part()
            self._console.print()
        if self._overwritten():
            self._console.print()
        name = escape(plain(self._first.name))
        self._console.print(f"The rest is under the first policy: [bold]{name}[/]")
        for part in (self._changes, self._accounts, self._owners):
            part()
            self._console.print()

    def _verdicts(self) -> None:
        table = summary_table("Verdicts", "Policy", *STATUS_WORDS.values())
        rows = self._rows(
            f"""
            SELECT place, contextual_name, status, count(*)
            FROM ({POLICIES_IN_ORDER})
            LEFT JOIN policy_output USING (policy_id)
            GROUP BY ALL
            ORDER BY place
            """
        )
        for (_, name), of_policy in groupby(rows, key=itemgetter(0, 1)):
            counts = {status: number for *_, status, number in of_policy}
            table.add_row(escape(plain(name)), *(f"{counts.get(status, 0):,}" for status in STATUS_WORDS))
        self._console.print(table)
        self._undetermined()
        if removed := removed_policies(self._published):
            self._console.print(f"No longer evaluated since tonight: {escape(plain(', '.join(removed)))}", style="dim")

    def _undetermined(self) -> None:
        """Why verdicts are undetermined, and what joins the incompliant ones in the number of findings."""
        rows = self._rows(
            f"""
            SELECT
                contextual_name,
                count(*) FILTER (undetermined_reason(status, condition_index) = 'not_seen') AS not_seen,
                count(*) FILTER (undetermined_reason(status, condition_index) = 'not_read') AS not_read,
                count(*) FILTER (undetermined_reason(status, condition_index) = 'unknown_value') AS unknown_value,
                count(*) FILTER (status = 'INCOMPLIANT') AS incompliant,
                count(*) FILTER (is_finding(status, incompliant_start_date, incompliant_end_date)) AS findings
            FROM ({POLICIES_IN_ORDER})
            JOIN policy_output USING (policy_id)
            GROUP BY place, contextual_name
            HAVING not_seen + not_read + unknown_value > 0
            ORDER BY place
            """
        )
        for name, *numbers, incompliant, findings in rows:
            counts = dict(zip(UNDETERMINED_REASONS, numbers, strict=True))
            undetermined = f"{findings - incompliant:,} undetermined that were incompliant when last evaluated"
            parts = [f"{incompliant:,} incompliant"] if incompliant else []
            parts += [undetermined] if findings > incompliant else []
            self._console.print(
                f"{escape(plain(name))}: {sum(numbers):,} undetermined"
                f" ({undetermined_reasons(counts)}). {plural(findings, 'finding')}"
                f"{': ' if parts else ''}{', and '.join(parts)}.",
                style="dim",
            )

    def _sections(self) -> None:
        table = summary_table(
            "Framework sections with a policy",
            "Section",
            "Sub Sections",
            "Internal Rules",
            "Policies",
            "Flags",
            "Compliance",
        )
        framework = None
        for name, title, *numbers, flags, share, compliant, evaluated in self._rows(
            """
            SELECT
                framework_name,
                section_title,
                sub_sections,
                internal_rules,
                policies,
                flags,
                compliance_percent,
                compliant,
                compliant + incompliant
            FROM section_compliance
            WHERE snapshot_date = (SELECT snapshot_date FROM publication)
                AND scope_type = 'organization'
                AND section_id IN (SELECT section_id FROM section_policies)
            ORDER BY framework_name, position
            """
        ):
            if name != framework:
                table.add_row(f"[bold]{escape(name)}[/]")
                framework = name
            result = percent(share) + ("" if share is None else f" ({compliant:,}/{evaluated:,})")
            table.add_row(Padding(escape(title), (0, 0, 0, 2)), *map(str, numbers), ", ".join(flags), result)
        self._console.print(table)

    def _changes(self) -> None:
        self._console.print(f"[bold]Since the night before[/]  {describe_changes(self._published)}")

    def _waivers(self) -> None:
        counts = dict(self._rows("SELECT status, count(*) FROM waivers GROUP BY status"))
        if not counts:
            return
        in_force = sum(counts.values()) - counts.get("expired", 0)
        parts = [f"{counts[status]:,} {words}" for status, words in WAIVER_WORDS.items() if status in counts]
        words = f"{in_force:,} in force" + (f" ({', '.join(parts)})" if parts else "")
        expired = f", {counts['expired']:,} expired" if "expired" in counts else ""
        self._console.print(f"[bold]Waivers[/]  {plural(sum(counts.values()), 'waiver')}: {words}{expired}")
        # Undetermined ones apart: every other count of waived findings is of incompliant ones.
        waived = [
            f"{incompliant:,} incompliant{f' and {lost:,} undetermined' if lost else ''} under {escape(plain(name))}"
            for name, incompliant, lost in self._rows(
                f"""
                SELECT
                    any_value(contextual_name),
                    count(*) FILTER (status = 'INCOMPLIANT'),
                    count(*) FILTER (status <> 'INCOMPLIANT')
                FROM findings
                JOIN ({POLICIES_IN_ORDER}) USING (policy_id)
                WHERE waived
                GROUP BY place
                ORDER BY place
                """
            )
        ]
        self._console.print(f"[bold]Waived findings[/]  {'; '.join(waived) or 'none'}")

    def _overwritten(self) -> bool:
        """Tags that were overwritten in the newest night whose image tags were read. Returns whether there was one."""
        [row] = self._rows(_query("overwritten"))
        day, repositories, read, compared, moves, releases, forbidden, moved, _ = row
        if day is None:
            return False
        parts = [plural(releases, "release tag")] if releases else []
        parts += [f"{forbidden:,} though immutable"] if forbidden else []
        found = f"{plural(moves, 'tag')} in {plural(moved, 'repository', 'repositories')}" if moves else "no tag"
        found += f" ({', '.join(parts)})" if parts else ""
        if not compared:
            found = "not known, there is nothing to compare with yet"
        self._console.print(
            f"[bold]Overwritten last night[/]  {found}. Image tags of {day}:"
            f" {read:,} of {plural(repositories, 'repository', 'repositories')} read, {compared:,} compared."
        )
        return True

    def _accounts(self) -> None:
        table = summary_table("Accounts with most to fix", "Account", "Unit", "To fix", "Waived", "Incompliant")
        for account_id, name, ou_path, *counts in self._rows(
            f"SELECT account_id, account_name, ou_path, to_fix, waived, incompliant FROM ({_query('accounts')})",
            policy_id=self._first.policy_id,
            shown=ACCOUNTS_SHOWN,
        ):
            table.add_row(account_words(account_id, name), escape(plain(ou_path)), *(f"{count:,}" for count in counts))
        self._console.print(table)

    def _owners(self) -> None:
        rows = self._rows(_query("owners"), policy_id=self._first.policy_id, shown=OWNERS_SHOWN)
        table = summary_table("Owners with most to fix", "Owner", "To fix", "Waived", "Incompliant")
        for owner, account_id, *counts in rows:
            name = escape(plain(owner)) + (f" ({account_id}, not tagged)" if account_id else "")
            table.add_row(name, *(f"{count:,}" for count in counts))
        self._console.print(table)
        self._console.print(
            f"Commands that fix them, in make sql: EXECUTE commands_to_fix(policy_id := '{self._first.policy_id}');",
            style="dim",
            soft_wrap=True,
        )


def _query(name: str) -> str:
    """A query that the overview shows, too."""
    return read_statement(f"pages/overview/{name}").text


def _print_next_steps(settings: Settings, console: Console, *, is_sealed: bool) -> None:
    # The shell and the pages open ./data by default, which may be the demo's.
    here = settings.data.absolute() == Path("data").absolute()
    of_this_data = "" if here else f"ECR_AUDIT_DATA={settings.data} "
    files: Sequence[tuple[str, object]] = (
        ("Published", publication_store(settings).address),
        ("Lake", settings.lake_root),
        ("Open the pages", f"{of_this_data}make pages"),
        ("Query it", f"{of_this_data}make sql"),
        *((("Verify it", f"{of_this_data}make verify"),) if is_sealed else ()),
        ("Your organization", "make audit-aws   (README: Pointing it at a real organization)"),
    )
    for name, value in files:
        console.print(f"[bold]{name:<18}[/] {escape(str(value))}", soft_wrap=True)
