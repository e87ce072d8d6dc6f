"""The commands in the documents name what there is.

Checked are fenced `sh` blocks, and indented blocks that begin with a program: `make` targets, Airflow's commands,
options and settings by Airflow's own parser, those of the AWS CLI by the API's model, services and profiles of Compose,
modules and files.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from support.aws_command import read_command
from support.documents import read_yaml
from support.paths import DOCUMENTS, ROOT


def blocks(text: str) -> Iterator[str]:
    """The blocks of a document that hold commands."""
    for indent, language, block in re.findall(r"^( *)```(\w*)\n(.*?)^\1```", text, flags=re.MULTILINE | re.DOTALL):
        if language in ("sh", "bash", "shell", "console"):
            yield re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)
    prose = re.sub(r"^( *)```.*?^\1```", "", text, flags=re.MULTILINE | re.DOTALL)
    for block in re.findall(r"(?<=\n\n)(?: {4}.*\n)+", prose):
        shown = textwrap.dedent(block)
        if shown.startswith("$ "):
            # The typed part of a terminal session.
            yield "\n".join(line[2:] for line in re.findall(r"^\$ (?:.*\\\n)*.*$", shown, flags=re.MULTILINE))
        elif Path(shown.split()[0]).name in CHECKS or shown.startswith("export "):
            yield shown


def commands(block: str) -> Iterator[list[str]]:
    """The simple commands of a block, as words. What runs within a quoted `$(…)` is left out."""
    joined = re.sub(r"<[a-z][\w ]*>", "placeholder", block.replace("\\\n", " "))
    for name, value in re.findall(r"^(\w+)=([\w:.-]+)$", joined, flags=re.MULTILINE):
        joined = re.sub(rf"\${name}\b", value, joined)
    for line in joined.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        redirected = False
        for word in [*lexer, ";"]:
            if set(word) <= set("<>"):
                redirected = True
            elif set(word) <= set("();|&"):
                if words and words[0] not in ("for", "done"):
                    yield words
                words = []
            elif redirected:
                redirected = False
            elif re.fullmatch(r"\w+=\$", word):
                continue  # what the parentheses after it hold is a command of its own
            elif word != "do":
                words.append(word)


def simple(document: Path) -> list[list[str]]:
    """All simple commands of a document."""
    return [words for block in blocks(document.read_text(encoding="utf-8")) for words in commands(block)]


def fault_of(words: list[str]) -> str | None:
    """The fault of a command; None when all that it names exists."""
    while words and re.match(r"\w+=", words[0]):
        words = words[1:]
    if not words:
        return None
    check = CHECKS.get(Path(words[0]).name)
    return f"{words[0]}: no check knows this program" if check is None else check(words[1:])


def _make(words: list[str]) -> str | None:
    words = [word for word in words if "=" not in word]
    rules = re.findall(r"^([\w -]+):(?!=)", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    return None if set(words) <= targets else f"make has no target {', '.join(set(words) - targets)}"


def _compose(words: list[str]) -> str | None:
    if words[0] != "compose":
        known = words[0] in ("build", "push") or words[:2] == ["network", "inspect"]
        return None if known else f"docker {words[0]}: is not expected"
    services = read_yaml(ROOT / "docker-compose.yaml")["services"]
    profiles = {profile for service in services.values() for profile in service.get("profiles", ())}
    rest = words[1:]
    while rest and rest[0] in ("--profile", "--project-name"):
        if rest[0] == "--profile" and rest[1] not in profiles:
            return f"Compose has no profile {rest[1]}"
        rest = rest[2:]
    action, named, options = rest[0], [], {"exec": {"-T"}}.get(rest[0], _COMPOSE.get(rest[0]))
    if options is None:
        return f"Compose has no command {action}"
    for position, word in enumerate(rest[1:], 1):
        if word.startswith("-"):
            if word not in options:
                return f"docker compose {action} has no option {word}"
        elif rest[position - 1] == "--scale":
            named.append(word.partition("=")[0])
        elif action == "exec":
            return fault_of(rest[position + 1 :]) if word in services else f"Compose has no service {word}"
        else:
            named.append(word)
    return None if set(named) <= set(services) else f"Compose has no service among {named}"


# Those of Compose's commands that documents use, with their options.
_COMPOSE: dict[str, set[str]] = {
    "up": {"-d", "--build", "--scale", "--no-recreate", "--wait"},
    "build": set(),
    "down": {"--volumes"},
    "logs": {"--follow"},
    "ps": set(),
    "stop": set(),
    "restart": set(),
}


def _aws(words: list[str]) -> str | None:
    service, operation, *rest = words
    if service == "s3":
        return None if operation == "sync" and set(rest[2:]) <= {"--delete"} else f"aws s3 {operation}: is not expected"
    try:
        if operation == "wait":
            client = boto3.client(service, region_name="us-east-1")
            client.get_waiter(rest[0].replace("-", "_"))
        else:
            read_command(shlex.join(["aws", *words]))
    except Exception as fault:
        return f"aws {service} {operation}: {fault!r}"
    return None


def _python(words: list[str]) -> str | None:
    if words[0] == "-c":
        compile(words[1], "document", "exec")
        return None
    if words[0] == "-m":
        return None if importlib.util.find_spec(words[1]) else f"python has no module {words[1]}"
    return None if (ROOT / words[0]).is_file() else f"python: there is no {words[0]}"


def _duckdb(words: list[str]) -> str | None:
    files = [word for word in words if word.startswith("sql/")]
    return next((f"duckdb: there is no {file}" for file in files if not (ROOT / file).is_file()), None)


def _named_files(words: list[str]) -> str | None:
    return next((f"there is no {word}" for word in words if "/" in word and not (ROOT / word).is_file()), None)


def _others(words: list[str]) -> str | None:
    return None


CHECKS: dict[str, Any] = {
    "make": _make,
    "docker": _compose,
    "aws": _aws,
    "python": _python,
    "python3": _python,
    "duckdb": _duckdb,
    **dict.fromkeys(
        (
            "export",
            "cd",
            "set",
            "cp",
            "mv",
            "rm",
            "kubectl",
            "pip",
            "harlequin",
            "umask",
            "psql",
            "curl",
            "grep",
            "jq",
            "trestle",
            "gzip",
        ),
        _others,
    ),
    "promtool": _named_files,
    **dict.fromkeys(("pg_dump", "pg_restore", "createdb", "dropdb"), _others),
    # All of them are checked at once, by `_airflow_faults`.
    "airflow": _others,
}

# In a process of its own, since Airflow reads its settings when it is first imported. Returns the faults.
PARSE = r"""
import contextlib, io, json, re, sys
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf
asked, settings = json.load(sys.stdin)
parser, faults = get_parser(), []
for words in asked:
    reported = io.StringIO()
    try:
        with contextlib.redirect_stderr(reported):
            # Some open the file that they are given.
            parser.parse_args([re.sub(r"\$\w+/", "", word) for word in words])
    except SystemExit as end:
        if end.code:
            faults.append(f"airflow {' '.join(words)}: {reported.getvalue()[-300:]}")
known = {(section, option) for section, group in conf.configuration_description.items() for option in group["options"]}
for setting in settings:
    section, _, option = setting.removeprefix("AIRFLOW__").lower().partition("__")
    if (section, option) not in known:
        faults.append(f"{setting}: Airflow has no such setting")
sys.stdout.write("\n" + json.dumps(faults))
"""


def _airflow_faults(asked: list[tuple[str, ...]], settings: list[str], home: Path) -> list[str]:
    environment = os.environ | {
        "AIRFLOW_HOME": str(home),
        # As in docker-compose.yaml: it brings the commands for users.
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARSE],
        input=json.dumps([asked, settings]),
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


def airflow_words(words: list[str]) -> tuple[str, ...] | None:
    """The arguments for Airflow, also within `docker compose exec`."""
    at = next((at for at, word in enumerate(words) if Path(word).name == "airflow"), None)
    return None if at is None or "pg_dump" in words else tuple(words[at + 1 :])


# Commands and a setting that Airflow does not have.
MADE_UP_OF_AIRFLOW = [
    "airflow dags triger ecr_compliance",
    "docker compose exec scheduler airflow tasks clear ecr_inventory --nothing",
]
MADE_UP_SETTING = "AIRFLOW__CORE__NOTHING"


def test_commands_name_things_that_exist(tmp_path: Path) -> None:
    """All of Airflow's at once, also those that are made up, which must be found: its parser takes seconds to load."""
    every = [words for document in DOCUMENTS for words in simple(document)]
    assert len(every) > 80
    of_airflow = [given for words in every if (given := airflow_words(words))]
    text = "\n".join(document.read_text("utf-8") for document in DOCUMENTS)
    settings = sorted(set(re.findall(r"\bAIRFLOW__[A-Z_]+__[A-Z_]+\b", text)))
    assert of_airflow and settings
    made_up = [given for line in MADE_UP_OF_AIRFLOW if (given := airflow_words(line.split()))]
    faults = _airflow_faults([*of_airflow, *made_up], [*settings, MADE_UP_SETTING], tmp_path)
    assert [fault.partition(":")[0] for fault in faults] == [
        *(f"airflow {' '.join(words)}" for words in made_up),
        MADE_UP_SETTING,
    ]
    faults = [fault for words in every if not airflow_words(words) and (fault := fault_of(words))]
    assert faults == []


MADE_UP = """
make nothing
docker compose exec nobody ls
docker compose --profile nothing up -d
docker compose up --nothing
docker compose nothing
aws s4 list-buckets
aws cloudformation create-stack --nothing x
aws cloudformation wait nothing --stack-name x
python -m ecr_audit.nothing
.venv/bin/python bin/nothing.py
.venv/bin/duckdb -f sql/analyses/nothing.sql
frobnicate --all
cat <(frobnicate) && ls
"""


@pytest.mark.parametrize("line", MADE_UP.strip().splitlines())
def test_a_command_that_is_made_up_is_found(line: str) -> None:
    [block] = blocks(f"Text.\n\n```sh\n{line}\n```\n")
    assert any(fault_of(words) for words in commands(block))


def test_commands_are_found_wherever_they_stand() -> None:
    listed = "1. A list\n\n   ```sh\n   make two | make three\n   ```\n"
    text = f"Text\n\n    make one\n\n{listed}\n    $ make four \\\n        x\n    out\n\n    no command\n"
    found = [" ".join(words) for block in blocks(text) for words in commands(block)]
    assert found == ["make two", "make three", "make one", "make four x"]
