"""The creation template ROOT that makes new repositories of a registry immutable, as texts for people to apply.

The audit does not write it, and the remediation role may not: a template also decides on encryption, permissions and
lifecycle of what is created, which the organization has to choose.
Source: CreateRepositoryCreationTemplate and UpdateRepositoryCreationTemplate, Amazon ECR API Reference.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

ROOT = "ROOT"
APPLIED_FOR = ("CREATE_ON_PUSH", "PULL_THROUGH_CACHE", "REPLICATION")


def root_template(templates: Sequence[Mapping[str, Any]] | None, region: str) -> dict[str, str]:
    """The texts by tool. `templates`: those that the registry has; None: never read, taken as none."""
    exists = any(each["prefix"] == ROOT for each in templates or ())
    operation = "update" if exists else "create"
    quoted = ", ".join(f'"{each}"' for each in APPLIED_FOR)
    return {
        "AWS CLI": (
            f"aws ecr {operation}-repository-creation-template --region {shlex.quote(region)} --prefix {ROOT}"
            f" --applied-for {' '.join(APPLIED_FOR)} --image-tag-mutability IMMUTABLE"
        ),
        "Terraform": (
            f'resource "aws_ecr_repository_creation_template" "root" {{\n  prefix               = "{ROOT}"\n'
            f'  applied_for          = [{quoted}]\n  image_tag_mutability = "IMMUTABLE"\n}}'
        ),
        "CloudFormation": (
            f"RootTemplate:\n  Type: AWS::ECR::RepositoryCreationTemplate\n  Properties:\n    Prefix: {ROOT}\n"
            f"    AppliedFor: [{', '.join(APPLIED_FOR)}]\n    ImageTagMutability: IMMUTABLE"
        ),
    }
