"""A verification in the terminal: a table of the nights and their steps, then what a person has to know."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ecr_audit.evidence.results import STEPS, NightResult, Outcome, Verification
from ecr_audit.text import moment, plural

_STYLES = {Outcome.OK: "green", Outcome.NOTE: "yellow", Outcome.FAILED: "bold red", Outcome.NOT_RUN: "dim"}


def print_verification(console: Console, outcome: Verification) -> None:
    """Print it; the head comes last, since a person has to compare it."""
    for night in outcome.nights:
        console.print(_table(night))
        console.print()
    for fault in outcome.faults:
        console.print(f"[bold red]FAILED[/]  the log: {escape(fault)}", soft_wrap=True)
    for note in outcome.notes:
        console.print(f"[yellow]note[/]    {escape(note)}", soft_wrap=True)
    console.print(f"[bold]Log[/]     {escape(sentence(outcome))}", soft_wrap=True)
    console.print(
        f"[bold]Head[/]    {outcome.head}: whoever has the key and the log can write both again. Compare it with a hash"
        " that was noted elsewhere: an alert, a workbook, an OSCAL file of that night.",
        soft_wrap=True,
    )


def sentence(outcome: Verification) -> str:
    """The result in one sentence."""
    failed = sum(night.failed for night in outcome.nights)
    found = (
        f"{failed:,} of {plural(len(outcome.nights), 'entry', 'entries')} failed"
        if failed
        else (f"{plural(len(outcome.nights), 'entry', 'entries')} verified")
    )
    faults = f", {plural(len(outcome.faults), 'fault')} in the log" if outcome.faults else ", the chain is whole"
    return (
        f"{plural(outcome.entries, 'entry', 'entries')} of {outcome.first} to {outcome.last}, {outcome.signed:,}"
        f" signed: {found}{faults} ({moment(outcome.verified_at)})"
    )


def _table(night: NightResult) -> Table:
    superseded = ", superseded by a later entry" if night.superseded else ""
    title = f"Night of {night.date}, entry {night.sequence}, commit {night.compliance_commit}{superseded}"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for name in ("", "step", "result", "found"):
        table.add_column(name, overflow="fold", header_style="dim")
    for each in night.steps:
        outcome = f"[{_STYLES[each.outcome]}]{each.outcome}[/]"
        table.add_row(str(each.step), STEPS[each.step], outcome, escape(" ".join(each.found.split())))
    return table
