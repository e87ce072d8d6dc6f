"""Texts are plain English: no phrases that readers stumble over, by the rules of CONTRIBUTING.md."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A short list, not a style checker. Each rule has what to write, and the phrases that it forbids.
RULES = {
    "do not front 'of': 'For the newest snapshot', not 'Of the newest snapshot'": (
        r"(?:^|[.:;!?] )[Oo]f (?:all|an?|each|its|several|the|these|those|what|which|whom)\b"
    ),
    "a noun, not a clause: 'Settings for alerts', not 'What sending an alert takes'": (
        r"^What (?!changed|to do)[^?]*$"
        r"|\b(?:ended|changed) so\b|\bcalled so\b|\bhas to say\b"
    ),
    "programs report, log or return; they do not tell or say": (
        r"\b(?:is|are|be|been|was|were|not|people) told\b|\btell(?:s|ing)? (?:of|people)\b|\btold of\b"
        r"|\b(?:is|are|be|been|was|were) said\b"
    ),
    "write again, no longer, N, fix": r"\banew\b|\bany more\b|\b[Ss]o many\b|\b[Mm]end(?:s|ed|ing)?\b",
    "'X is not a Y', not 'X is no Y'": (
        r"(?<!here )\b(?:is|are|was|were) no (?!longer\b)|\b[Nn]one is\b|\bis had\b|\b[Nn]ot its turn\b"
    ),
}

# Right English, with the phrase in its usual sense.
EXCEPTIONS = ("any more than",)

# The same in names of tests, which are plain statements of behaviour.
NAMES = (
    r"_(?:what|says?|said|tells?|told|anew|any_more|so_many|mends?)(?:_|$)"
    r"|^test_(?:of|who|whom|whatever)_|_so$|(?<!there)_(?:is|are)_no_(?!longer)"
)

# Files with texts for people.
TEXTS = ("*.md", "*.html", "*.js", "*.sql", "*.yaml", "*.tf", "*.py", "*.in", "*.example", "Makefile", "Dockerfile")
# History; the lists of these phrases; and texts of others, word by word: frameworks, and AWS's errors in the emulation.
NOT_READ = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "tests/unit/test_english.py",
    "sql/frameworks/",
    "demo/emulated_aws/services/",
)


def texts_of_python(source: str) -> Iterator[tuple[int, str]]:
    """Each string and each block of comments of a module, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for paragraph in node.value.split("\n\n"):
                yield node.lineno, paragraph
    block: list[str] = []
    begins = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if block and token.start[0] != last + 1:
            yield begins, " ".join(block)
            block = []
        begins = begins if block else token.start[0]
        last = token.start[0]
        block.append(token.string.lstrip("#: "))
    yield begins, " ".join(block)


def texts_of_lines(text: str) -> Iterator[tuple[int, str]]:
    """Each run of lines that are prose or comments, without their comment marks."""
    block: list[str] = []
    begins = 1
    for number, line in enumerate([*text.splitlines(), ""], 1):
        plain = re.sub(r"^\s*(?:--|//|#+|[-*] |\{#)\s*|<[^>]+>", "", line).strip()
        if not plain or re.match(r"\s*[-*|] |##", line):
            yield begins, " ".join(block)
            block = []
        if plain:
            begins = begins if block else number
            block.append(plain)
    yield begins, " ".join(block)


def faults(path: Path) -> Iterator[str]:
    """Each forbidden phrase of a file, with its line and what to write."""
    text = path.read_text(encoding="utf-8")
    for line, found in (texts_of_python if path.suffix == ".py" else texts_of_lines)(text):
        plain = " ".join(found.split())
        for exception in EXCEPTIONS:
            plain = plain.replace(exception, "")
        for advice, phrases in RULES.items():
            if match := re.search(phrases, plain):
                shown = plain[max(0, match.start() - 30) : match.end() + 40]
                yield f"{path.relative_to(ROOT)}:{line}: …{shown}…: {advice}"


def files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    texts = [name for name in listed.splitlines() if any(Path(name).match(each) for each in TEXTS)]
    return [ROOT / name for name in texts if not name.startswith(NOT_READ)]


def test_texts_are_plain_english() -> None:
    assert len(files()) > 600
    assert [fault for path in files() for fault in faults(path)] == []


def test_names_of_tests_are_plain_english() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    names = [name for text in texts for name in re.findall(r"^ *(?:async )?def (test_\w+)", text, flags=re.MULTILINE)]
    assert len(names) > 1000
    assert [name for name in names if re.search(NAMES, name)] == []


@pytest.mark.parametrize(
    "name", ["test_what_is_refused", "test_it_says_why", "test_a_cut_sheet_says_so", "test_it_is_no_place"]
)
def test_a_clause_in_a_name_is_found(name: str) -> None:
    assert re.search(NAMES, name)


@pytest.mark.parametrize(
    "text",
    [
        "Of the newest snapshot: targets by outcome.",
        "A setting. Of what is left out, it may be anything.",
        "What sending an alert takes.",
        "No account is called so.",
        "People are told of it.",
        "Counted anew.",
        "It is not a requirement any more.",
        "So many at a time.",
        "To mend it: run this.",
        "It is no e-mail address.",
        "The first one, if none is given.",
    ],
)
def test_a_phrase_is_found(text: str) -> None:
    assert any(re.search(phrases, text) for phrases in RULES.values())


@pytest.mark.parametrize(
    "text",
    ["What changed", "There is no such account.", "It is no longer there.", "What is it?", "One of the accounts."],
)
def test_right_english_passes(text: str) -> None:
    assert not any(re.search(phrases, text) for phrases in RULES.values())
