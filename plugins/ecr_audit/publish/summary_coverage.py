"""The first part of the summary: how much there is, and how much of it was read."""

from __future__ import annotations

import duckdb
from rich.console import Console
from rich.markup import escape

from ecr_audit.aws.advice import distinct_advice
from ecr_audit.aws.outcomes import is_enough
from ecr_audit.inventory.missing import LeftOut, Missing
from ecr_audit.publish.summary_part import SummaryPart, account_words, summary_table
from ecr_audit.publish.unread_facets import unread_facet_sentences
from ecr_audit.publish.unread_values import unread_sentences
from ecr_audit.text import percent, plain, plural

# Rows shown of targets that were not read; the rest is in the published table.
SHOWN = 12


class CoverageSummary(SummaryPart):
    """The organization, and what was not read of it."""

    def __init__(self, published: duckdb.DuckDBPyConnection, console: Console, min_coverage: float) -> None:
        super().__init__(published, console)
        self._min_coverage = min_coverage

    def organization(self) -> None:
        """How much there is, and how much of it was read; what could not be, and what was left out."""
        [(day, accounts, active, repositories, unseen)] = self._rows(
            """
            SELECT
                (SELECT snapshot_date FROM publication),
                count(*),
                count(*) FILTER (WHERE state = 'ACTIVE'),
                (SELECT count(*) FROM repositories),
                (SELECT count(*) FROM repositories WHERE NOT observed)
            FROM accounts
            """
        )
        [(collected, countable, share)] = self._rows(
            """
            SELECT
                count(*) FILTER (WHERE is_collected(outcome)),
                count(*) FILTER (WHERE is_countable(outcome)),
                coverage_percent(outcome)
            FROM scan_targets
            """
        )
        self._console.rule(f"[bold]ECR audit, {day}")
        self._console.print(
            f"[bold]Organization[/]  {plural(accounts, 'account')} ({active:,} active),"
            f" {plural(repositories, 'repository', 'repositories')} known"
            + (f", {unseen:,} of them not seen" if unseen else "")
        )
        self._console.print(f"[bold]Coverage[/]      {collected} of {countable} account-regions read: {percent(share)}")
        if not is_enough(collected, countable, self._min_coverage):
            minimum = percent(100 * self._min_coverage, share)
            self._console.print(
                f"              Below {minimum} (ECR_AUDIT_MIN_COVERAGE) the run fails, after publishing."
            )
        for sentence in unread_sentences(self._published):
            self._console.print(f"[bold]Last known[/]    {escape(sentence)}")
        for sentence in unread_facet_sentences(self._published):
            self._console.print(f"[bold]Not evaluated[/] {escape(sentence)}")
        [(accounts, regions, *left_out)] = self._rows(
            "SELECT missing_accounts, missing_regions, left_out_accounts, left_out_regions FROM publication"
        )
        for sentence in LeftOut(*(names or () for names in left_out)).sentences():
            self._console.print(f"[bold]Left out[/]      {escape(sentence)}")
        for sentence in Missing(accounts or (), regions or ()).sentences():
            self._console.print(f"[bold]Missing[/]       {escape(sentence)}")

    def not_collected(self) -> None:
        """Targets that were not read, and what to do about them."""
        rows = self._rows(
            """
            SELECT
                outcome,
                account_id,
                account_name,
                string_agg(region, ', ' ORDER BY region),
                any_value(first_day_not_seen),
                any_value(last_read_date),
                any_value(collected) > 0,
                error_code,
                any_value(error_message)
            FROM scan_targets
            LEFT JOIN coverage USING (account_id)
            WHERE is_unread(outcome)
            GROUP BY ALL
            ORDER BY outcome, account_id, error_code
            """
        )
        if rows:
            table = summary_table(
                "Account-regions not read: their repositories are undetermined",
                "Outcome",
                "Account",
                "Regions",
                "Since",
                "Error",
            )
            for outcome, account_id, name, regions, since, last_read, in_part, code, _ in rows[:SHOWN]:
                when = f"{since}" if in_part or last_read else f"{since}, never read"
                table.add_row(outcome, account_words(account_id, name), regions, when, escape(plain(code)))
            self._console.print(table)
            if len(rows) > SHOWN:
                self._console.print(f"  … and {len(rows) - SHOWN} more, in the table scan_targets", style="dim")
        for about, advice in distinct_advice((outcome, code, message) for outcome, *_, code, message in rows):
            self._console.print(f"{escape(about)}: {advice.fix}", style="dim")
        self._outside_coverage()

    def _outside_coverage(self) -> None:
        """Targets that cannot have repositories: neither collected nor counted."""
        for outcome, number, regions, accounts in self._rows(
            """
            SELECT
                outcome,
                count(*),
                string_agg(DISTINCT region, ', ' ORDER BY region),
                count(DISTINCT account_id)
            FROM scan_targets
            WHERE NOT is_countable(outcome)
            GROUP BY outcome
            ORDER BY outcome
            """
        ):
            where = plural(accounts, "account")
            if outcome == "REGION_DISABLED":
                where = f"{regions} of {where}, which did not enable it"
            else:
                where = f"{where}, suspended or being closed"
            self._console.print(f"{outcome}: {number} more, outside coverage: {where}", style="dim")
