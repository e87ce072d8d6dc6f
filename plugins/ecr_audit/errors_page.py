"""docs/errors.md: the table of advice as a page."""

from __future__ import annotations

from ecr_audit.aws.advice import CAUSES, OUTCOMES


def to_markdown() -> str:
    """The page, in Markdown."""
    rows = ["# Outcomes and errors", "", "Made by `make docs` from `plugins/ecr_audit/aws/advice.py`.", ""]
    rows += ["## Outcomes of a target", "", "| outcome | meaning | what to do |", "|---|---|---|"]
    rows += [f"| `{outcome}` | {advice.meaning} | {advice.what_to_do} |" for outcome, advice in OUTCOMES.items()]
    rows += ["", "## Errors", "", "The first that fits counts.", ""]
    rows += ["| cause | `error_code`, or words of the message | meaning | what to do |", "|---|---|---|---|"]
    for cause in CAUSES:
        words = cause.words.pattern.split("|") if cause.words else []
        shown = ", ".join([*(f"`{code}`" for code in sorted(cause.codes)), *(f"“{each}”" for each in words)])
        rows.append(f"| {cause.title} | {shown} | {cause.advice.meaning} | {cause.advice.what_to_do} |")
    return "\n".join(rows) + "\n"
