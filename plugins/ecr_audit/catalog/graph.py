"""The catalog as a graph: the tree of sections, and the policies that travel along `similar` links."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from ecr_audit.catalog.models import Framework, Policy, Section, SectionPolicy
from ecr_audit.settings import SQL_ROOT

_STRINGS = pa.list_(pa.string())

SCHEMAS: dict[str, pa.Schema] = {
    "policies": pa.schema(
        {
            "policy_id": pa.string(),
            "name": pa.string(),
            "contextual_name": pa.string(),
            "description": pa.string(),
            "tags": _STRINGS,
            "type": pa.string(),
            "categories": _STRINGS,
            "flags": _STRINGS,
            "severity": pa.string(),
            "similar_policies": _STRINGS,
            "internal_rules": _STRINGS,
            "input": pa.string(),
            "facets": _STRINGS,
            "finding_columns": _STRINGS,
            "passing_mutability": _STRINGS,
            "position": pa.int32(),
            "policy_hash": pa.string(),
        }
    ),
    "frameworks": pa.schema({"framework_id": pa.string(), "name": pa.string()}),
    "sections": pa.schema(
        {
            "section_id": pa.string(),
            "framework_id": pa.string(),
            "framework_name": pa.string(),
            "section_number": pa.string(),
            "title": pa.string(),
            "parent_id": pa.string(),
            "withdrawn": pa.bool_(),
            "position": pa.int32(),
            "sub_sections": pa.int32(),
        }
    ),
    "section_policies": pa.schema({"section_id": pa.string(), "policy_id": pa.string(), "inherited_from": pa.string()}),
    "section_closure": pa.schema({"section_id": pa.string(), "descendant_section_id": pa.string()}),
}


class Catalog:
    """Every policy and framework, validated. `load_catalog` makes it.

    Policies are in order of id, frameworks in order of name, sections in tree order.
    """

    def __init__(self, policies: Sequence[Policy], frameworks: Sequence[Framework], sql_root: Path = SQL_ROOT) -> None:
        """`sql_root`: the folder of the SQL that sessions run beside the policies."""
        self.sql_root = sql_root
        self.policies = sorted(policies, key=lambda policy: policy.id)
        self.frameworks = sorted(frameworks, key=lambda framework: framework.name)
        self.sections: dict[str, Section] = {
            section.id: section for framework in self.frameworks for section in framework.sections
        }
        self._children: dict[str, list[str]] = {section_id: [] for section_id in self.sections}
        self._heirs: dict[str, list[str]] = {section_id: [] for section_id in self.sections}
        for section in self.sections.values():
            if section.parent_id is not None:
                self._children[section.parent_id].append(section.id)
            for similar in section.similar:
                self._heirs[similar].append(section.id)

    def descendants(self, section_id: str) -> list[str]:
        """Ids of all sections below `section_id`, at any depth, in tree order; without itself.

        Raises KeyError for an unknown section.
        """
        found: list[str] = []
        for child in self._children[section_id]:
            found += [child, *self.descendants(child)]
        return found

    def section_policies(self) -> list[SectionPolicy]:
        """The policies that each section itself holds, in order of section (framework name, tree) and policy id.

        A section holds the policies mapped to it and those of the sections it lists as similar, transitively.
        Links may form a loop; a policy visits a section once, by the shortest way. An ignored mapping is a wall:
        the policy neither reaches that section nor passes through it, but may reach others by another way.
        """
        held = [row for policy in self.policies for row in self._reach(policy)]
        order = {section_id: index for index, section_id in enumerate(self.sections)}
        return sorted(held, key=lambda row: (order[row.section_id], row.policy_id))

    def linked_sections(self, policy_id: str) -> list[Section]:
        """The sections that themselves hold the policy, in order of framework name, then position."""
        return [self.sections[row.section_id] for row in self.section_policies() if row.policy_id == policy_id]

    def in_order(self) -> list[Policy]:
        """The policies in the order in which they are shown everywhere, published as `policies.position`.

        First the headline, then those that decide most framework sections.
        """
        sections = Counter(row.policy_id for row in self.section_policies())
        return sorted(self.policies, key=lambda policy: (not policy.headline, -sections[policy.id], policy.id))

    def _reach(self, policy: Policy) -> list[SectionPolicy]:
        reached: dict[str, str | None] = dict.fromkeys(policy.mappings)
        queue = deque(policy.mappings)
        while queue:
            source = queue.popleft()
            for heir in self._heirs[source]:
                if heir not in reached and heir not in policy.ignored_mappings:
                    reached[heir] = source
                    queue.append(heir)
        return [SectionPolicy(section_id, policy.id, source) for section_id, source in reached.items()]

    def as_arrow(self) -> dict[str, pa.Table]:
        """The catalog as tables for SQL; `SCHEMAS` gives their columns.

        `sections.sub_sections` counts all descendants, withdrawn ones too. `section_closure` pairs each section with
        itself and each of its descendants.
        """
        positions = {policy.id: position for position, policy in enumerate(self.in_order(), start=1)}
        policies = [
            policy.model_dump(include=set(SCHEMAS["policies"].names))
            | {"policy_id": policy.id, "policy_hash": policy.hash, "position": positions[policy.id]}
            for policy in self.policies
        ]
        frameworks = [{"framework_id": framework.id, "name": framework.name} for framework in self.frameworks]
        sections = [
            {
                "section_id": section.id,
                "framework_id": section.framework_id,
                "framework_name": framework.name,
                "section_number": section.number,
                "title": section.title,
                "parent_id": section.parent_id,
                "withdrawn": section.withdrawn,
                "position": section.position,
                "sub_sections": len(self.descendants(section.id)),
            }
            for framework in self.frameworks
            for section in framework.sections
        ]
        closure = [
            {"section_id": section_id, "descendant_section_id": descendant}
            for section_id in self.sections
            for descendant in [section_id, *self.descendants(section_id)]
        ]
        rows = {
            "policies": policies,
            "frameworks": frameworks,
            "sections": sections,
            "section_policies": [row._asdict() for row in self.section_policies()],
            "section_closure": closure,
        }
        return {name: pa.Table.from_pylist(rows[name], schema=schema) for name, schema in SCHEMAS.items()}
