"""The files of a policy: its texts for people, its logic, its policy.yaml. They are in sql/policies, not published."""

from __future__ import annotations

import logging
from functools import lru_cache

from ecr_audit.catalog import Catalog, CatalogError, Policy, load_catalog
from ecr_audit.settings import SQL_ROOT
from ecr_audit.web.published import PublishedDatabase

log = logging.getLogger(__name__)


def find_policy(publication: PublishedDatabase, policy_id: str) -> Policy | None:
    """The policy as its files have it now; None when it has none, or when they cannot be used.

    It may differ from the one that a night was evaluated by: compare `hash` with the published one.
    """
    catalog = open_catalog(publication.version)
    return next((policy for policy in catalog.policies if policy.id == policy_id), None) if catalog else None


@lru_cache(maxsize=1)
def open_catalog(version: str) -> Catalog | None:
    """Read again with each publication, which may be by other policies than the one before."""
    try:
        return load_catalog(SQL_ROOT)
    except CatalogError as fault:
        log.error("The files of the policies cannot be shown: %s", fault)
        return None
