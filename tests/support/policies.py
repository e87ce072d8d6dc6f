"""The audit's two policies on tag mutability, which most tests are about.

Tests evaluate these two alone, so that another folder in sql/policies changes none of their figures. What holds for
every policy is in tests/sql/test_policy_cases.py and tests/unit/test_new_policy.py.
"""

from __future__ import annotations

from ecr_audit.catalog import Catalog, load_catalog
from ecr_audit.settings import SQL_ROOT

MUTABILITY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
STRICT = "/ce/ca/aws/ecr/repository-image-tag-immutability-strict"


def mutability_catalog() -> Catalog:
    """The audit's catalog with these two policies alone."""
    catalog = load_catalog(SQL_ROOT)
    return Catalog([policy for policy in catalog.policies if policy.id in (MUTABILITY, STRICT)], catalog.frameworks)
