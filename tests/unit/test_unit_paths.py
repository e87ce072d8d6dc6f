"""A path holds the names of units, whatever is in them, and gives them back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_audit.unit_paths import UNIT_ID, join_names, split_path

# Parts of a name that mean something in a path, and others.
NAMES = st.lists(st.one_of(st.text("/%2Fab5\\", min_size=1), st.text(min_size=1)), min_size=1)


@given(NAMES)
def test_names_come_back_and_each_slash_lies_between_two(names: list[str]) -> None:
    path = join_names(names)
    assert split_path(path) == names
    assert path.count("/") == len(names) - 1


@pytest.mark.parametrize(
    ("names", "path"),
    [
        (["Root", "CI/CD"], "Root/CI%2FCD"),
        (["Root", "CI", "CD"], "Root/CI/CD"),
        (["Root", "100%", "50%20", "a\\b", "Forschung & Lehre"], "Root/100%/50%20/a\\b/Forschung & Lehre"),
        (["Root", "CI%2FCD"], "Root/CI%252FCD"),
        (["Root", "%25"], "Root/%2525"),
    ],
)
def test_only_ambiguous_characters_are_escaped(names: list[str], path: str) -> None:
    assert join_names(names) == path
    assert split_path(path) == names


@pytest.mark.parametrize(
    ("text", "is_id"),
    [
        ("r-abcd", True),
        ("ou-abcd-12345678", True),
        ("Root", False),
        ("ou-prod", False),
        ("Root/ou-abcd-12345678", False),
    ],
)
def test_ids_are_distinguished_from_paths(text: str, is_id: bool) -> None:
    assert bool(UNIT_ID.fullmatch(text)) is is_id
