"""Only units that have others below them are asked for those: most have none, and each answer takes a call."""

from __future__ import annotations

import pytest

from ecr_audit.aws.organization import _inner_units


def test_units_above_others_that_hold_accounts_are_inner():
    accounts = [
        {"Paths": ["o-1/r-1/ou-prod/ou-shop/111111111111/"]},
        {"Paths": ["o-1/r-1/ou-dev/"]},
        {"Paths": ["o-1/r-1/222222222222/"]},
    ]
    assert _inner_units(accounts) == {"r-1", "ou-prod"}


@pytest.mark.parametrize("pathless", [{}, {"Paths": []}, {"Paths": None}])
def test_all_units_count_as_inner_when_an_account_does_not_say_where_it_is(pathless):
    assert _inner_units([{"Paths": ["o-1/r-1/ou-prod/111111111111/"]}, pathless]) is None
