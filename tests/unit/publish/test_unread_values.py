"""Sentences on facets that could not be read; those on other values are tested where they are shown."""

from __future__ import annotations

from typing import Any

import pytest

from ecr_audit.publish.unread_values import sentences
from ecr_audit.vocabulary import Facet

ROW: dict[str, Any] = {
    "accounts": 1,
    "repositories": 2,
    "repositories_without_value": 3,
    "never_read": 0,
    "first_read_date": "2026-11-01",
    "last_read_date": "2026-11-01",
    "error_codes": ["AccessDeniedException"],
}
REST = " (AccessDeniedException). Where no earlier value stands, policies that read it leave them undetermined."


@pytest.mark.parametrize(
    ("facet", "values", "sentence"),
    [
        (
            Facet.LIFECYCLE,
            {},
            f"The lifecycle policy of 5 repositories in 1 account could not be read{REST}",
        ),
        (
            Facet.REGISTRIES,
            {"repositories": 0, "repositories_without_value": 1},
            f"The creation templates and pull-through cache rules of 1 registry in 1 account could not be read{REST}",
        ),
    ],
)
def test_a_facet_is_named_with_the_objects_that_rest_on_it(facet: Facet, values: dict[str, int], sentence: str) -> None:
    assert sentences([{**ROW, "kind": facet.value, **values}]) == [sentence]


def test_every_facet_has_a_sentence() -> None:
    assert len(sentences({**ROW, "kind": facet.value} for facet in Facet)) == len(Facet)
