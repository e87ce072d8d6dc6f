"""The terminal: values of command lines, and the console, which prints plain text without control characters."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from collections.abc import Iterable
from datetime import date
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ecr_audit.text import printable

# Into a file or a pipe, as wide as the tables like it.
_WIDTH = 110


class PlainConsole(Console):
    """Prints names, messages and errors, which are other people's text, without control characters."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich does it. Its own controls, such as those of a progress display, are segments apart."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def open_console(file: IO[str] | None = None) -> PlainConsole:
    """A console on a file that is open, or on standard output."""
    console = PlainConsole(file=file, highlight=False)
    return console if console.is_terminal else PlainConsole(file=file, highlight=False, width=_WIDTH)


def date_argument(text: str) -> date:
    """A date on a command line. Raises ArgumentTypeError, which argparse prints."""
    try:
        return date.fromisoformat(text)
    except ValueError as fault:
        raise ArgumentTypeError(f"'{text}' is not a date. Give one as 2026-10-31") from fault


def print_error(fault: Any) -> None:
    """Write a fault to standard error, for a command that ends with it."""
    sys.stderr.write(f"{printable(str(fault))}\n")
