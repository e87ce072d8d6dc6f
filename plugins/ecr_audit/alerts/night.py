"""Messages on a published night: lost accounts, unread values, overwritten tags, new findings, expiring waivers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb

from ecr_audit.alerts.message import Message
from ecr_audit.aws.advice import distinct_advice
from ecr_audit.aws.outcomes import is_enough
from ecr_audit.inventory.missing import Missing
from ecr_audit.publish.published_file import open_published
from ecr_audit.publish.unread_facets import unread_facet_sentences
from ecr_audit.publish.unread_values import unread_sentences
from ecr_audit.text import percent, plain, plural
from ecr_audit.vocabulary import FACET_WORDS, OBJECT_WORDS
from ecr_audit.warehouse.statements import read_statement

# Rows shown of a list, and repositories named per owner. The rest is counted.
SHOWN = 10
EXAMPLES = 3
# Owners shown of each policy, where a message is about several.
SHOWN_OF_SEVERAL = 3

Row = dict[str, Any]


def night_messages(database: Path, min_coverage: float, pages: str) -> list[Message]:
    """The messages on the night of a published file; deterministic for the same file.

    `min_coverage`: the minimum share of targets that must be read. `pages`: the address of the audit's pages; empty
    if unknown. Raises duckdb.Error.
    """
    with open_published(database) as published:
        night = _Night(published, pages)
        return [
            *night.coverage(min_coverage),
            *night.unread_values(),
            *night.overwritten_tags(),
            *night.new_findings(),
            *night.waivers(),
            *night.waiver_units(),
        ]


class _Night:
    def __init__(self, published: duckdb.DuckDBPyConnection, pages: str) -> None:
        self._published = published
        self._pages = pages
        [(self._date, head)] = published.execute("SELECT snapshot_date, evidence_head FROM publication").fetchall()
        # Noted where no writer of the log can change it: to compare with what make verify prints.
        self._evidence = ["", f"Evidence, newest entry: {head}"] if head else []

    def coverage(self, min_coverage: float) -> Iterator[Message]:
        """One message when coverage is low, accounts were lost, or settings name unknown accounts or regions."""
        [seen] = self._rows("coverage")
        lost = self._rows("lost_accounts", shown=SHOWN)
        is_low = not is_enough(seen["collected"], seen["countable"], min_coverage)
        missing = Missing(seen["missing_accounts"] or (), seen["missing_regions"] or ())
        if not lost and not is_low and not missing:
            return
        covered = percent(seen["coverage_percent"], 100 * min_coverage)
        subjects = [f"{plural(lost[0]['accounts'], 'account')} with lower coverage"] if lost else []
        if is_low:
            subjects.append(f"coverage {covered} is under the minimum")
        if missing:
            subjects.append("settings name unknown accounts or regions")
        before = (
            f"; in the night of {seen['previous_snapshot_date']} it was {percent(seen['previous_coverage_percent'])}"
            if seen["previous_snapshot_date"]
            else ""
        )
        lines = [
            f"{seen['collected']:,} of {seen['countable']:,} account-regions were read: {covered}{before}.",
            f"The minimum is {percent(100 * min_coverage, seen['coverage_percent'])} (ECR_AUDIT_MIN_COVERAGE).",
        ]
        if lost:
            lines += ["", "No longer read, or in fewer regions than the night before:"]
            lines += [
                f"- {_account(row)}{_unit(row)}: {row['collected']} of {plural(row['countable'], 'region')} read;"
                f" {plain(row['why'])}"
                for row in lost
            ]
            lines += _and_more(lost[0]["accounts"] - len(lost), "account")
        if missing:
            lines += ["", *missing.sentences()]
        if lost or is_low:
            errors = self._rows("errors", account_ids=[] if is_low else [row["account_id"] for row in lost])
            met = [(row["outcome"], row["error_code"], row["error_message"]) for row in errors]
            lines += ["", "What to do:"]
            lines += [f"{plain(about)}: {advice.fix}" for about, advice in distinct_advice(met)[:SHOWN]]
        lines += ["", "Repositories that were not read are UNDETERMINED."]
        yield self._message(", ".join(subjects), lines, "coverage")

    def unread_values(self) -> Iterator[Message]:
        """One message when values that were read the night before could not be read; lists all unread values."""
        lost = self._rows("unread_values", shown=SHOWN)
        if not lost:
            return
        kinds = {kind for row in lost for kind in row["kinds"]}
        not_evaluated = [f"Not evaluated: {each}" for each in unread_facet_sentences(self._published, kinds)]
        lines = [*unread_sentences(self._published), *not_evaluated, "", "Read the night before, but not tonight:"]
        for row in lost:
            account = f"{_account(row)}{_unit(row)}: " if row["account_id"] else ""
            why = f"; {plain(row['why'])}" if row["why"] else ""
            words = ", ".join(FACET_WORDS.get(kind, kind) for kind in row["kinds"])
            lines.append(f"- {account}{words}{why}")
        lines += _and_more(lost[0]["all_rows"] - len(lost), "account")
        lines += ["", "The last known values count until they are read again."]
        yield self._message("values that could not be read", lines, "coverage")

    def overwritten_tags(self) -> Iterator[Message]:
        """One message when release tags were overwritten, or tags though the setting forbade it."""
        rows = self._rows("overwritten_tags", shown=SHOWN, examples=EXAMPLES)
        if not rows:
            return
        releases, forbidden = rows[0]["all_releases"], rows[0]["all_forbidden"]
        subjects = [f"{plural(releases, 'release tag')} overwritten"] if releases else []
        subjects += [f"{plural(forbidden, 'tag')} overwritten though immutable"] if forbidden else []
        lines = ["They point to another image than at the last complete read of their repository."]
        for row in rows:
            where = f"{plain(row['repository_name'])}, {row['region']}, {_account(row)}{_unit(row)}"
            lines += ["", f"{where}; owner {plain(row['owner'])}"]
            lines += [_move(each) for each in row["moves"]]
            lines += _and_more(row["tags"] - len(row["moves"]), "tag")
        if hidden := rows[0]["all_rows"] - len(rows):
            lines += ["", *_and_more(hidden, "repository", "repositories")]
        yield self._message(", ".join(subjects), lines, "")

    def new_findings(self) -> Iterator[Message]:
        """One message with a part for each policy with new findings, the most severe first."""
        rows = self._rows("new_findings", shown=SHOWN, examples=EXAMPLES)
        by_policy = [list(group) for _, group in groupby(rows, key=lambda row: row["policy_id"])]
        if not by_policy:
            return
        subject = plural(sum(owners[0]["all_findings"] for owners in by_policy), "new finding")
        if len(by_policy) == 1:
            [owners] = by_policy
            page = f"findings?{urlencode({'policy': owners[0]['policy_id']})}"
            yield self._message(subject, _new_under(owners, SHOWN), page)
            return
        lines = []
        for owners in by_policy:
            page = f"findings?{urlencode({'policy': owners[0]['policy_id']})}"
            lines += [*_new_under(owners, SHOWN_OF_SEVERAL), *self._link(page), ""]
        yield self._message(f"{subject} under {plural(len(by_policy), 'policy', 'policies')}", lines[:-1])

    def waivers(self) -> Iterator[Message]:
        """One message when waivers are close to their end, or expired."""
        rows = self._rows("waivers", shown=SHOWN)
        if not rows:
            return
        lines = []
        for row in rows:
            ended = row["days_left"] <= 0
            findings = plural(row["matched_findings"], "finding")
            lines.append(
                f"- {plain(row['waiver_id'])} ({plain(row['ticket'])}, {plain(row['owner'])}): "
                + (
                    f"ended on {row['expires']}; {findings} no longer waived"
                    if ended
                    else f"ends on {row['expires']}, in {plural(row['days_left'], 'day')}; covers {findings}"
                )
            )
        lines += _and_more(rows[0]["all_waivers"] - len(rows), "waiver")
        yield self._message(f"{plural(rows[0]['all_waivers'], 'waiver')} ending or ended", lines, "")

    def waiver_units(self) -> Iterator[Message]:
        """One message when the unit that waivers name by its path was renamed, emptied, or replaced by another."""
        rows = self._rows("waiver_units", shown=SHOWN)
        if not rows:
            return
        lines = [
            "A waiver with a unit's path does not follow the unit when it is renamed; one with its id (ou-…) does.",
            "",
        ]
        for row in rows:
            waiver = f"{plain(row['waiver_id'])} ({plain(row['ticket'])}, {plain(row['owner'])})"
            now = f"is another unit now, {row['ou_id']}" if row["ou_id"] else "has no accounts now"
            lines.append(f"- {waiver}: {plain(row['ou_path'])} {now}")
        lines += _and_more(rows[0]["all_waivers"] - len(rows), "waiver")
        yield self._message(f"{plural(rows[0]['all_waivers'], 'waiver')} whose unit changed", lines, "")

    def _message(self, subject: str, lines: list[str], page: str | None = None) -> Message:
        link = [] if page is None else self._link(page)
        return Message(f"ECR audit, night of {self._date}: {subject}", (*lines, *self._evidence, *link))

    def _link(self, page: str) -> list[str]:
        return ["", f"{self._pages}/{page}"] if self._pages else []

    def _rows(self, name: str, **parameters: Any) -> list[Row]:
        cursor = self._published.execute(read_statement(f"alerts/{name}").text, parameters or None)
        columns = [column for column, *_ in cursor.description or ()]
        return [dict(zip(columns, values, strict=True)) for values in cursor.fetchall()]


def _new_under(owners: list[Row], shown: int) -> list[str]:
    """The part of a policy: its owners with most new findings, of which at most `shown` are listed."""
    first = owners[0]
    lines = [
        f"{plain(first['policy_name'])} ({first['severity'].lower()}). New or reopened since the night before, and not"
        " waived:"
    ]
    for row in owners[:shown]:
        # A repository without an owner tag is its account's; account names are not unique, so the id is shown.
        owner = " ".join(filter(None, (row["account_id"], plain(row["owner"]))))
        lines += ["", f"{owner}{_unit(row)}: {row['findings']:,}"]
        lines += [f"- {plain(each['name'])}, {each['region']}, {_account(each)}" for each in row["repositories"]]
        lines += _and_more(row["findings"] - len(row["repositories"]), *OBJECT_WORDS.get(row["input"], ("object",)))
    if hidden := first["all_rows"] - len(owners[:shown]):
        left = first["all_findings"] - sum(row["findings"] for row in owners[:shown])
        lines += ["", f"… and {plural(left, 'finding')} more, of {plural(hidden, 'other owner')}"]
    return lines


_HOW_MOVED = {"moved_though_immutable": ", though immutable", "moved_back": ", back to an earlier image"}


def _move(move: Row) -> str:
    """A line on one overwritten tag. Twelve digits tell digests apart, and find them on the pages."""
    digests = " to ".join(f"sha256:{move[name].removeprefix('sha256:')[:12]}" for name in ("old_digest", "new_digest"))
    return f"- {plain(move['tag'])}: {digests}{_HOW_MOVED.get(move['kind'], '')}"


def _account(row: Row) -> str:
    return f"{row['account_id']} {plain(row['account_name'])}".strip()


def _unit(row: Row) -> str:
    return f" ({plain(row['ou_path'])})" if row["ou_path"] else ""


def _and_more(number: int, one: str, many: str | None = None) -> list[str]:
    return [f"… and {plural(number, one, many).replace(' ', ' more ', 1)}"] if number > 0 else []
