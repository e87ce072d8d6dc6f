"""The catalog: which policies there are, which framework sections there are, and which policy counts in which section.

It is data, in the folders `sql/policies` and `sql/frameworks`. Adding a policy is adding a folder.
"""

from __future__ import annotations

from ecr_audit.catalog.graph import Catalog
from ecr_audit.catalog.load import input_names, load_catalog
from ecr_audit.catalog.models import Framework, Policy, Section, SectionPolicy
from ecr_audit.yaml_files.faults import CatalogError

__all__ = [
    "Catalog",
    "CatalogError",
    "Framework",
    "Policy",
    "Section",
    "SectionPolicy",
    "input_names",
    "load_catalog",
]
