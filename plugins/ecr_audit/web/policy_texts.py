"""The files of a policy: its texts for people, its logic, its policy.yaml. They are in sql/policies, not published."""

from __future__ import annotations

import logging
from functools import lru_cache

from ecr_audit.catalog import Catalog, CatalogError, Policy, load_catalog
from ecr_audit.settings import SQL_ROOT
from ecr_audit.web.published import PublishedDatabase

log = logging.getLogger(__name__)


def find_policy(publication: PublishedDatabase, policy_id: str) -> Policy | None:
    """The policy as its files define it now; None if it has no files, or if they are invalid.

    It may differ from the one that a night was evaluated by: compare `hash` with the published one.
    """
    catalog = open_catalog(publication.version)
    return next((policy for policy in catalog.policies if policy.id == policy_id), None) if catalog else None


@lru_cache(maxsize=1)
def open_catalog(version: str) -> Catalog | None:
    """Loaded again for each publication, since the policies may have changed."""
    try:
        return load_catalog(SQL_ROOT)
    except CatalogError as fault:
        log.error("The files of the policies cannot be loaded: %s", fault)
        return None
