"""Permissions for reading facets and image tags, apart from the calls: publishing names them, and needs no calls."""

from __future__ import annotations

from collections.abc import Mapping

from ecr_audit.aws.permissions import Option, Permission, Role
from ecr_audit.vocabulary import Facet

_REPOSITORIES = ("arn:{partition}:ecr:*:{account}:repository/*",)


def _permission(facet: Facet, action: str, why: str, on: tuple[str, ...] = ("*",)) -> Permission:
    return Permission((Role.AUDIT, Role.HUB), action, why, on, facet=facet)


FACET_PERMISSIONS: Mapping[Facet, tuple[Permission, ...]] = {
    Facet.TAGS: (
        _permission(Facet.TAGS, "tag:GetResources", "the tags of repositories: their owners, and the waivers by tag"),
    ),
    Facet.SCANNING: (
        _permission(
            Facet.SCANNING,
            "ecr:BatchGetRepositoryScanningConfiguration",
            "when the images of a repository are scanned",
            _REPOSITORIES,
        ),
    ),
    Facet.KEYS: (
        _permission(
            Facet.KEYS,
            "kms:DescribeKey",
            "whether AWS or the customer manages a repository's key",
            ("arn:{partition}:kms:*:{account}:key/*",),
        ),
    ),
    Facet.REGISTRIES: (
        _permission(
            Facet.REGISTRIES,
            "ecr:DescribeRepositoryCreationTemplates",
            "the settings of repositories that ECR creates by itself",
        ),
        _permission(
            Facet.REGISTRIES,
            "ecr:DescribePullThroughCacheRules",
            "the upstream registries for whose images ECR creates repositories by itself",
        ),
    ),
    Facet.LIFECYCLE: (
        _permission(Facet.LIFECYCLE, "ecr:GetLifecyclePolicy", "whether images of a repository expire", _REPOSITORIES),
    ),
    Facet.POLICIES: (
        _permission(
            Facet.POLICIES,
            "ecr:GetRepositoryPolicy",
            "who may use a repository, by its own policy",
            _REPOSITORIES,
        ),
    ),
}

LIST_IMAGES = Permission(
    (Role.AUDIT, Role.HUB),
    "ecr:ListImages",
    "the tags of images and the digests that they point to",
    _REPOSITORIES,
    Option.IMAGE_TAGS,
    without="tags that were overwritten are not found there",
)
