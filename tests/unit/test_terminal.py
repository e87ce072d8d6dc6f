"""Other people's text on the terminal: ESC and the like from names and messages arrive as blanks."""

from __future__ import annotations

import importlib.util
import io
import logging
import re
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

import ecr_audit
from ecr_audit.lake.storage import LakeError
from ecr_audit.publish import newest
from ecr_audit.publish.build import publish
from ecr_audit.publish.summary import print_summary
from ecr_audit.settings import load_settings
from ecr_audit.terminal import PlainConsole, open_console
from ecr_audit.text import printable
from support.small_lake import SmallLake

DAY = date(2026, 11, 1)
AUDIT = Path(ecr_audit.__file__).parents[2] / "bin" / "audit.py"

# Clears the screen, sets the title, moves up, writes to the clipboard, a C1 control, a reversal, a bell, a backspace.
HARM = (
    "a\x1b[2Jb\x1b]0;owned\x07c\x1b[1Ad\x1b]52;c;eA==\x07e\x9b31mf\u202egnp.exe"
    "\u2066\x08\x7f\u200b\r\u2028\ufeff\U000e0041z"
)


# Controls by which a terminal hides and shows its cursor.
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def shown(output: str) -> str:
    """The output without rich's own colours: only text and line breaks."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", output)
    assert all(each.isprintable() or each == "\n" for each in text), ascii(text)
    return text


def table(text: str) -> Table:
    made = Table(escape(text), title=escape(text))
    made.add_row(escape(text))
    return made


@pytest.mark.parametrize(
    "print_it",
    [
        lambda console: console.print(escape(HARM)),
        lambda console: console.print(HARM, markup=False, style="red"),
        lambda console: console.print(f"[bold red]{escape(HARM)}[/]", soft_wrap=True),
        lambda console: console.print(Text(HARM, "bold")),
        lambda console: console.print(table(HARM)),
        lambda console: console.print(Panel(Text(HARM))),
        lambda console: console.print({"name": [HARM]}),
        lambda console: console.print(ValueError(HARM)),
        lambda console: console.rule(escape(HARM)),
    ],
)
@pytest.mark.parametrize("color", [None, "truecolor"])
def test_any_output_is_text(print_it: Callable[[Console], None], color: Any) -> None:
    output = io.StringIO()
    print_it(PlainConsole(file=output, force_terminal=color is not None, color_system=color, width=500))
    assert "gnp.exe" in shown(output.getvalue())


def test_printable_keeps_text_and_its_length() -> None:
    assert printable("zażółć 日本 x\ny") == "zażółć 日本 x\ny"
    assert len(printable(HARM)) == len(HARM)
    assert printable(HARM).isprintable()


def test_the_summary(small_lake: SmallLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    small_lake.scan(
        DAY,
        accounts=[{"account_name": HARM, "ou_path": f"Root/{HARM}"}],
        repositories=[{"repository_name": HARM, "tags": [("owner", HARM)]}],
        scan_targets=[{"account_id": "111111111111", "region": "us-east-1", "outcome": "FAILED", "error_code": HARM}],
    )
    small_lake.evaluate(DAY)
    publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=small_lake.owner_tags)
    output = io.StringIO()
    print_summary(load_settings(), open_console(output))
    assert shown(output.getvalue()).count("gnp.exe") >= 3


@pytest.fixture(scope="module")
def audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit_command", AUDIT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_fault_of_the_catalog_ends_the_audit_before_its_scan(
    audit: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    assert audit.checked_settings() == load_settings()
    monkeypatch.setattr("ecr_audit.settings.SQL_ROOT", tmp_path / "sql")
    with pytest.raises(audit.AuditFailed, match="sql/policies:1: No policies: there are no folders"):
        audit.checked_settings()


@pytest.mark.parametrize("message", [HARM, f"line\n{HARM}", "", "\n"])
def test_log_lines_of_the_audit(audit: Any, message: str) -> None:
    output = io.StringIO()
    console = open_console(output)
    handler = audit.Progress(console, audit.Steps(console))
    handler.emit(logging.LogRecord("ecr_audit", logging.WARNING, "", 0, "%s", (message,), None))
    assert shown(output.getvalue()).count("\n") == 1


@pytest.mark.parametrize("is_terminal", [False, True])
def test_steps_of_the_audit(audit: Any, is_terminal: bool) -> None:
    output = io.StringIO()
    console = PlainConsole(file=output, force_terminal=is_terminal, highlight=False, width=200)
    steps = audit.Steps(console)
    log = logging.Logger("ecr_audit.test")
    log.addHandler(audit.Progress(console, steps))
    context: dict[str, Any] = {"ti": SimpleNamespace(task_id="publish", map_index=-1)}
    outputs = sys.stdout, sys.stderr
    steps.start(context)
    assert (sys.stdout, sys.stderr) == outputs, "Airflow's log would come on the terminal"
    log.info("Writing: %s", HARM, extra={"begins": True})
    log.info("Written: workbook (0.1 s)")
    steps.end(context)
    steps.start(context)
    steps.skip(context)
    context |= {"ti": SimpleNamespace(task_id="scan_accounts", map_index=2), "exception": LakeError(f"[red]{HARM}")}
    steps.start(context)
    steps.fail(context)
    steps.start(context)
    steps.stop()  # Ctrl-C ended it
    assert steps.stop() == 0
    # The running line is drawn over with a carriage return.
    left = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue()).replace("\r", "\n")
    lines = [line for line in left.splitlines() if line and "…" not in line]
    assert lines[0] == "  Written: workbook (0.1 s)"
    assert re.fullmatch(r"  publish: \d\.\d s", lines[1])
    assert lines[2] == "  publish: skipped"
    assert re.fullmatch(r"  scan_accounts 2: \[red\]a.* \(\d\.\d s\)", " ".join(lines[3:]))
    assert ("publish … 0 s" in left) is is_terminal
    assert ("publish … 0 s, Writing: a" in left) is is_terminal
    # The cursor comes back each time.
    assert output.getvalue().count(HIDE) == output.getvalue().count(SHOW) == (4 if is_terminal else 0)


def test_an_error_of_the_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path / "\x1b[2J\u202e"))
    assert newest.main() == 1
    assert "contains an invisible character" in shown(capsys.readouterr().err)
