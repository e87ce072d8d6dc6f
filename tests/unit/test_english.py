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

# Files with texts for people. Not CHANGELOG.md, which is history, nor CONTRIBUTING.md, which lists the phrases.
TEXTS = ("*.md", "*.html", "*.js", "*.sql", "*.yaml", "*.py", "Makefile")
PLACES = ("README.md", "SECURITY.md", "docs", "plugins", "dags", "bin", "demo", "sql", "Makefile")
# Texts of others, word by word: the frameworks, and AWS's own errors in the emulation.
NOT_OURS = ("sql/frameworks/", "demo/emulated_aws/services/")


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
    listed = subprocess.run(
        ["git", "ls-files", "--", *PLACES], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    texts = [name for name in listed if any(Path(name).match(each) for each in TEXTS)]
    return [ROOT / name for name in texts if not name.startswith(NOT_OURS)]


def test_texts_are_plain_english() -> None:
    assert len(files()) > 200
    assert [fault for path in files() for fault in faults(path)] == []


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
