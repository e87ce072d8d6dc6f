"""Only units that have others below them are asked for those: most have none, and each answer takes a call."""

from __future__ import annotations

from typing import Any

import pytest

from ecr_audit.aws.units import Unit, inner_units, parents_of


def test_units_above_others_that_hold_accounts_are_inner() -> None:
    accounts = [
        {"Paths": ["o-1/r-1/ou-prod/ou-shop/111111111111/"]},
        {"Paths": ["o-1/r-1/ou-dev/"]},
        {"Paths": ["o-1/r-1/222222222222/"]},
    ]
    assert inner_units(accounts) == {"r-1", "ou-prod"}


@pytest.mark.parametrize("pathless", [{}, {"Paths": []}, {"Paths": None}])
def test_all_units_count_as_inner_when_an_account_has_no_path(pathless: dict[str, Any]) -> None:
    assert inner_units([{"Paths": ["o-1/r-1/ou-prod/111111111111/"]}, pathless]) is None


def test_an_account_in_a_unit_that_the_tree_does_not_have_is_not_in_the_one_above() -> None:
    """It was moved, or its unit made, between the two readings."""
    accounts = [
        {"Id": "1", "Paths": ["o-1/r-1/ou-prod/ou-new/"]},
        {"Id": "2", "Paths": ["o-1/r-1/ou-prod/222222222222/"]},
        {"Id": "3", "Paths": ["o-1/r-1/"]},
    ]
    nobody: Any = None
    root, prod = Unit(("Root",), ("r-1",)), Unit(("Root", "Prod"), ("r-1", "ou-prod"))
    assert parents_of(nobody, accounts, {"r-1": root, "ou-prod": prod}) == {"2": prod, "3": root}
