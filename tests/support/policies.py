"""The audit's two policies on tag mutability, which most tests are about.

Tests evaluate these two alone, so that another folder in sql/policies changes none of their figures. What holds for
every policy is in tests/sql/test_policy_cases.py and tests/unit/test_new_policy.py.
"""

from __future__ import annotations

import hashlib

from ecr_audit.catalog import Catalog, Policy, load_catalog
from ecr_audit.settings import SQL_ROOT

MUTABILITY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
STRICT = "/ce/ca/aws/ecr/repository-image-tag-immutability-strict"

RELEASE_TAG_MOVED = "/ce/ca/aws/ecr/repository-release-tag-moved"
MOVED_THOUGH_IMMUTABLE = "/ce/ca/aws/ecr/repository-tag-moved-though-immutable"

# Policies for tests of facets: one on repositories, one on registries.
LIFECYCLE = "/ce/test/lifecycle"
REGISTRY = "/ce/test/registry"


def mutability_catalog() -> Catalog:
    """The audit's catalog with these two policies alone."""
    return _catalog_of(MUTABILITY, STRICT)


def image_tags_catalog() -> Catalog:
    """The same with the policies on tags that were overwritten."""
    return _catalog_of(MUTABILITY, STRICT, RELEASE_TAG_MOVED, MOVED_THOUGH_IMMUTABLE)


def _catalog_of(*policy_ids: str) -> Catalog:
    catalog = load_catalog(SQL_ROOT)
    return Catalog([policy for policy in catalog.policies if policy.id in policy_ids], catalog.frameworks)


def facet_catalog() -> Catalog:
    """The same with LIFECYCLE and REGISTRY, which read facets; a section holds each of them."""
    catalog = mutability_catalog()
    lifecycle = _reads_a_facet(
        LIFECYCLE,
        "Repository has no Lifecycle Policy",
        "repositories",
        "lifecycle",
        """
        SELECT
            repository_arn AS object_id,
            CASE WHEN lifecycle_unread IS NOT NULL THEN 699 WHEN lifecycle_policy IS NULL THEN 199 ELSE 299 END
                AS condition_index,
            CASE condition_index WHEN 699 THEN 'UNDETERMINED' WHEN 199 THEN 'INCOMPLIANT' ELSE 'COMPLIANT' END
                AS status,
            'Lifecycle policy: ' || coalesce(lifecycle_unread, lifecycle_policy, 'none') AS current_state_message,
            CASE condition_index WHEN 199 THEN 'Give it one.' END AS remediation_message,
            NULL::VARCHAR AS remediation_command
        FROM staging.repositories
        """,
    )
    registry = _reads_a_facet(
        REGISTRY,
        "Registry Creates Repositories with Mutable Tags",
        "registries",
        "registries",
        """
        SELECT
            registry_arn AS object_id,
            CASE
                WHEN registries_unread IS NOT NULL THEN 699
                WHEN len(creation_templates) = 0 THEN 799
                WHEN creation_templates[1].image_tag_mutability = 'IMMUTABLE' THEN 299
                ELSE 199
            END AS condition_index,
            CASE condition_index
                WHEN 699 THEN 'UNDETERMINED' WHEN 799 THEN 'INAPPLICABLE' WHEN 199 THEN 'INCOMPLIANT' ELSE 'COMPLIANT'
            END AS status,
            'Templates: ' || coalesce(registries_unread, len(creation_templates)::VARCHAR) AS current_state_message,
            CASE condition_index WHEN 199 THEN 'Set IMMUTABLE.' END AS remediation_message,
            CASE condition_index WHEN 199 THEN 'aws ecr update-repository-creation-template' END AS remediation_command
        FROM staging.registries
        """,
    )
    return Catalog([*catalog.policies, lifecycle, registry], catalog.frameworks)


def _reads_a_facet(policy_id: str, name: str, objects: str, facet: str, logic: str) -> Policy:
    return Policy.model_validate(
        {
            "id": policy_id,
            "name": f"AWS ECR {name}",
            "contextual_name": name,
            "description": "A policy for the tests.",
            "type": "COMPLIANCE_POLICY",
            "categories": ["SECURITY"],
            "flags": [],
            "severity": "HIGH",
            "input": objects,
            "facets": [facet],
            "conditions": [{"index": 699, "status": "UNDETERMINED", "when": "It was not read."}],
            "mappings": ["/frameworks/aws-fsbp-v1.0.0/ecr/02"],
            "logic_sql": logic,
            "description_md": "# It",
            "remediation_md": "# Fix",
            "policy_yaml": "",
            "hash": hashlib.sha256(logic.encode()).hexdigest(),
            "folder": f"policies/test/{policy_id.rpartition('/')[2]}",
        }
    )
