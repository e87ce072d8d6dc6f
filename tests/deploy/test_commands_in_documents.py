"""The commands in the documents: each is run by a test or has a reason why not, and names what there is.

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
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from support.aws_command import read_command
from support.paths import DOCUMENTS, ROOT

# The first pattern that a command matches gives the test that runs it, or why none does.
HOW = {
    # The shell's own, and what only moves files about.
    r"export |cd |HUB_ACCOUNT_ID|EXTERNAL_ID|LAKE_BUCKET|NIGHT=|UI_|umask |set ": "sets something for what follows",
    r"make audit$": "tests/dags/test_audit_command.py",
    r"make demo-history": "tests/unit/demo/test_history.py",
    r"make (pages|up)$": "tests/browser/conftest.py",
    r"make bi": "tests/bi/test_superset.py",
    r"make sql": "tests/published/test_query.py",
    r"make (doctor|doctor-demo)$": "tests/integration/doctor/test_doctor_command.py",
    r"promtool test rules": "tests/deploy/test_metrics.py",
    r"make docs": "the gate holds what it would write: tests/deploy/test_documents.py",
    r"make format": "the gate holds what it would rewrite: make lint",
    r"make hooks": "tests/deploy/test_hooks.py",
    r"make sbom": "tests/deploy/test_sbom.py",
    r"make pin-images": "tests/deploy/test_pin_images.py",
    r"make advisories": "needs the advisories of PyPI; tests/deploy/test_makefile.py looks at its command",
    r"curl .*(auth/token|api/v1/findings)|jq ": "tests/browser/test_journeys.py",
    r"curl .*auth/login|grep ": "needs a proxy; tests/cluster/test_night.py asks for the same",
    r"docker network inspect": "tried by hand, with a Docker engine",
    r"make secrets": "tests/deploy/test_compose.py",
    r"make (help|test(-all|-slow|-cluster)?|lint|types|lint types)$": "the gate: it is how the tests are run",
    r"make audit-aws": "needs a real AWS; tests/dags/test_audit_command.py runs the same on the emulated one",
    r"aws (cloudformation|organizations) ": "tests/deploy/test_documents.py",
    r"aws eks ": "needs a cluster; its options are checked below",
    r"aws s3 sync": "tried by hand, against an emulated S3: it needs the AWS CLI, which is not among the requirements",
    r"python3? -c .*secrets": "tests/deploy/test_documents.py",
    r"\S*duckdb ": "tests/published/test_analyses.py",
    r"(cp|mv|rm) .*lake|\S*python -c .*sqlite3": "tests/deploy/test_operations.py",
    r"docker compose ": "tried by hand, with a Docker engine; tests/deploy/test_compose.py checks the file",
    r"airflow tasks clear": "tests/cluster/test_night.py",
    r"airflow ": "tried by hand, on SQLite and PostgreSQL; Airflow's own parser takes it below",
    r"kubectl create ": "needs a cluster; tried by hand with --dry-run=client",
    r"kubectl apply ": "needs a cluster; tests/deploy/test_helm.py reads what is applied",
    r"docker (build|push) ": "needs a registry; tried by hand, with a local one",
    r"python3 -m venv ~/harlequin|~/harlequin/bin/": "fetches packages; what it showed stands below it",
    r"python3 -m venv ~/ecr-query|~/ecr-query/bin/": "fetches packages; tests/published/test_light_install.py has them",
}


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
    rules = re.findall(r"^([\w -]+):(?!=)", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    return None if set(words) <= targets else f"make has no target {', '.join(set(words) - targets)}"


def _compose(words: list[str]) -> str | None:
    if words[0] != "compose":
        known = words[0] in ("build", "push") or words[:2] == ["network", "inspect"]
        return None if known else f"docker {words[0]}: is not expected"
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text("utf-8"))["services"]
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


def _airflow(words: list[str]) -> str | None:
    return _airflow_faults((tuple(words),), ())[0]


def _others(words: list[str]) -> str | None:
    return None


CHECKS: dict[str, Any] = {
    "make": _make,
    "docker": _compose,
    "aws": _aws,
    "airflow": _airflow,
    "python": _python,
    "python3": _python,
    "duckdb": _duckdb,
    **dict.fromkeys(
        ("export", "cd", "set", "cp", "mv", "rm", "kubectl", "pip", "harlequin", "umask", "psql", "curl", "grep", "jq"),
        _others,
    ),
    "promtool": _named_files,
    **dict.fromkeys(("pg_dump", "pg_restore", "createdb", "dropdb"), _others),
}

# In a process of its own, since Airflow reads its settings when it is first imported. Answers one fault or null each.
PARSE = r"""
import contextlib, io, json, re, sys
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf
asked, settings = json.load(sys.stdin)
parser, faults = get_parser(), []
for words in asked:
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            # Some open the file that they are given.
            parser.parse_args([re.sub(r"\$\w+/", "", word) for word in words])
        faults.append(None)
    except SystemExit as end:
        faults.append(None if end.code == 0 else f"airflow {' '.join(words)}: {told.getvalue()[-300:]}")
known = {(section, option) for section, group in conf.configuration_description.items() for option in group["options"]}
for setting in settings:
    section, _, option = setting.removeprefix("AIRFLOW__").lower().partition("__")
    faults.append(None if (section, option) in known else f"{setting}: Airflow has no such setting")
sys.stdout.write("\n" + json.dumps(faults))
"""


@cache
def _airflow_faults(asked: tuple[tuple[str, ...], ...], settings: tuple[str, ...]) -> list[str | None]:
    environment = os.environ | {
        # As in docker-compose.yaml: it brings the commands for users.
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PARSE],
        input=json.dumps([asked, settings]),
        env=environment,
        cwd=os.environ["AIRFLOW_HOME"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(autouse=True, scope="module")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        yield


def airflow_words(words: list[str]) -> tuple[str, ...] | None:
    """The arguments for Airflow, also within `docker compose exec`."""
    at = next((at for at, word in enumerate(words) if Path(word).name == "airflow"), None)
    return None if at is None or "pg_dump" in words else tuple(words[at + 1 :])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_command_is_run_by_a_test_or_has_a_reason(document: Path) -> None:
    unknown = [" ".join(words) for words in simple(document) if _how(words) is None]
    assert unknown == [], "name in HOW the test that runs it, or the reason why none does"


def _how(words: list[str]) -> str | None:
    return next((pattern for pattern in HOW if re.match(pattern, " ".join(words))), None)


def test_every_reason_has_a_command_and_every_test_is_there() -> None:
    used = {_how(words) for document in DOCUMENTS for words in simple(document)}
    assert set(HOW) - used == set()
    named = {path for reason in HOW.values() for path in re.findall(r"tests/[\w/]+\.py", reason)}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_commands_name_things_that_exist() -> None:
    """All of Airflow's at once: its parser takes seconds to load."""
    every = [words for document in DOCUMENTS for words in simple(document)]
    assert len(every) > 80
    of_airflow = [given for words in every if (given := airflow_words(words))]
    text = "\n".join(document.read_text("utf-8") for document in DOCUMENTS)
    settings = sorted(set(re.findall(r"\bAIRFLOW__[A-Z_]+__[A-Z_]+\b", text)))
    assert of_airflow and settings
    faults = _airflow_faults(tuple(of_airflow), tuple(settings))
    faults += [fault_of(words) for words in every if not airflow_words(words)]
    assert [fault for fault in faults if fault] == []


MADE_UP = """
make nothing
docker compose exec scheduler airflow tasks clear ecr_inventory --nothing
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


def test_made_up_names_of_airflow_are_found() -> None:
    asked = (("dags", "trigger", "ecr_compliance"), ("dags", "triger", "ecr_compliance"))
    faults = _airflow_faults(asked, ("AIRFLOW__CORE__PARALLELISM", "AIRFLOW__CORE__NOTHING"))
    assert [bool(fault) for fault in faults] == [False, True, False, True]


def test_commands_are_found_wherever_they_stand() -> None:
    listed = "1. A list\n\n   ```sh\n   make two | make three\n   ```\n"
    text = f"Text\n\n    make one\n\n{listed}\n    $ make four \\\n        x\n    out\n\n    no command\n"
    found = [" ".join(words) for block in blocks(text) for words in commands(block)]
    assert found == ["make two", "make three", "make one", "make four x"]
