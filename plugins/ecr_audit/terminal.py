"""The console for people: all text on it is printed as plain text, without control characters."""

from __future__ import annotations

import sys
from collections.abc import Iterable
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


def print_error(fault: Any) -> None:
    """Write a fault to standard error, for a command that ends with it."""
    sys.stderr.write(f"{printable(str(fault))}\n")
