"""Faults of the catalog are reported together, with file, line and the nearest valid name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ecr_audit.catalog import CatalogError, load_catalog


def replace(path: Path, old: str | None, new: str) -> None:
    """Replace the one occurrence of `old`; None stands for the whole text."""
    text = path.read_text()
    old = text if old is None else old
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def faults(root: Path) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        load_catalog(root)
    assert all(fault in str(caught.value) for fault in caught.value.faults)
    return caught.value.faults


IN_POLICY = "sql/policies/test/one/policy.yaml"
IN_LEAF = "sql/frameworks/leaf.yaml"


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        (
            IN_POLICY,
            "severity: LOW",
            "severity: LOW\nfacets: [keys]",
            f"{IN_POLICY}:9: A policy that reads a facet needs condition 699, UNDETERMINED: what it reads was not read",
        ),
        (
            IN_POLICY,
            "index: 199",
            "index: 699",
            f"{IN_POLICY}:11: conditions.0.status: 'INCOMPLIANT' is not valid. Condition 699 means that",
        ),
        (IN_POLICY, "severity: LOW\n", "", f"{IN_POLICY}:1: Key 'severity' is missing"),
        (
            IN_POLICY,
            "severity: LOW",
            "severity: HIHG",
            f"{IN_POLICY}:8: severity: 'HIHG' is not valid. Valid: LOW, MEDIUM, HIGH, CRITICAL",
        ),
        (
            IN_POLICY,
            "status: INCOMPLIANT",
            "status: NONCOMPLIANT",
            f"{IN_POLICY}:11: conditions.0.status: 'NONCOMPLIANT' is not valid. Valid: COMPLIANT, INCOMPLIANT, UND",
        ),
        (IN_POLICY, "severity: LOW", "severity:", f"{IN_POLICY}:8: severity: has no value. Valid: LOW, MEDIUM"),
        (IN_POLICY, "[production]", "", f"{IN_POLICY}:7: flags: has no value. Give a list; [] for none"),
        (IN_POLICY, "[RELIABILITY]", "", f"{IN_POLICY}:6: categories: has no value. Give a list"),
        (IN_POLICY, "name: One\ncon", "name:\ncon", f"{IN_POLICY}:2: name: has no value. Give one"),
        (IN_POLICY, "severity:", "severty:", f"{IN_POLICY}:8: Unknown key 'severty'. Nearest: severity"),
        (
            IN_POLICY,
            "name: One\ncon",
            "name: One: two\ncon",
            f"{IN_POLICY}:2: Not valid YAML: mapping values are not allowed here (put a text with a colon in quotation",
        ),
        (
            IN_POLICY,
            "severity: LOW",
            "  severity: LOW",
            f"{IN_POLICY}:8: Not valid YAML: expected <block end>, but found '<block mapping start>' (indentation?)",
        ),
        (
            IN_POLICY,
            "severity: LOW",
            "\tseverity: LOW",
            f"{IN_POLICY}:8: Not valid YAML: found character '\\t' that cannot start any token (indent with spaces",
        ),
        (
            IN_POLICY,
            "name: One\ncon",
            "name: [7]\ncon",
            f"{IN_POLICY}:2: name: ['7'] is not valid. Input should be a valid str",
        ),
        (
            IN_POLICY,
            "[production]",
            "production",
            f"{IN_POLICY}:7: flags: 'production' is not valid. Give a list; [] for none",
        ),
        (
            IN_POLICY,
            "[RELIABILITY]",
            "[RELIABLE]",
            f"{IN_POLICY}:6: categories.0: 'RELIABLE' is not valid. Valid: COST, OPERA",
        ),
        (IN_POLICY, "[RELIABILITY]", "[]", f"{IN_POLICY}:6: categories: [] is not valid."),
        (IN_POLICY, "id: /ce/test/one", "id: ce test", f"{IN_POLICY}:1: id: 'ce test' is not valid."),
        (IN_POLICY, "name: One\ncon", "name: One\nname: Two\ncon", f"{IN_POLICY}:3: Key 'name' is given twice"),
        (IN_POLICY, "flags: [production]", "flags: }", f"{IN_POLICY}:7: Not valid YAML: "),
        (IN_POLICY, None, "", f"{IN_POLICY}:1: The file is empty"),
        (IN_POLICY, None, "- a list", f"{IN_POLICY}:1: the file: ['a list'] is not valid."),
        (
            IN_POLICY,
            "  - /frameworks/hub/a",
            "  - /frameworks/hub/a\n  - /frameworks/hubs/a",
            f"{IN_POLICY}:11: Unknown framework section '/frameworks/hubs/a'. Nearest: /frameworks/hub/a",
        ),
        (
            IN_POLICY,
            "mappings:",
            "ignored_mappings: [/frameworks/leaf/x]\nmappings:",
            f"{IN_POLICY}:9: Unknown framework section '/frameworks/leaf/x'. Nearest: /frameworks/leaf/",
        ),
        (
            IN_POLICY,
            "mappings:",
            "ignored_mappings: [/frameworks/hub/a]\nmappings:",
            f"{IN_POLICY}:9: Section '/frameworks/hub/a' is both in mappings and in ignored_mappings",
        ),
        (IN_LEAF, "title: D", "titel: D", f"{IN_LEAF}:8: Unknown key 'titel'. Nearest: title"),
        (IN_LEAF, "title: D", "titel: D", f"{IN_LEAF}:7: Key 'title' is missing"),
        (IN_LEAF, "withdrawn: true", "withdrawn: maybe", f"{IN_LEAF}:19: sections.3.withdrawn: 'maybe' is not valid."),
        (IN_LEAF, "withdrawn: true", "withdrawn:", f"{IN_LEAF}:19: sections.3.withdrawn: Is empty."),
        (IN_POLICY, "index: 199", "index: 0x1f", f"{IN_POLICY}:11: conditions.0.index: '0x1f' is not valid. Input"),
        (
            IN_POLICY,
            "index: 199",
            "index: 399",
            f"{IN_POLICY}:11: conditions.0.index: '399' is not valid. 99, 399, 599 are the engine's.",
        ),
        (
            IN_POLICY,
            "Always.}",
            "Always.}, {index: 199, status: COMPLIANT, when: Never.}",
            f"{IN_POLICY}:11: Condition index 199 is given twice.",
        ),
        (IN_POLICY, "flags: [production]", "flags: &f [production, *f]", f"{IN_POLICY}:7: The alias *f is not allowed"),
        (
            IN_LEAF,
            "parent: /frameworks/leaf/b",
            "parent: /frameworks/hub/a",  # a section of another framework is not a valid parent
            f"{IN_LEAF}:14: Unknown parent '/frameworks/hub/a'. Nearest: /frameworks/leaf/",
        ),
        (
            IN_LEAF,
            "      - /frameworks/leaf/c",
            "      - /frameworks/laef/c",
            f"{IN_LEAF}:11: Unknown framework section '/frameworks/laef/c'. Nearest: /frameworks/leaf/c",
        ),
        (
            IN_LEAF,
            "parent: /frameworks/leaf/b",
            "parent: /frameworks/leaf/d",
            f"{IN_LEAF}:9: Parents form a cycle: /frameworks/leaf/d -> /frameworks/leaf/c -> /frameworks/leaf/d",
        ),
        (
            IN_LEAF,
            "id: /frameworks/leaf/e",
            "id: /frameworks/leaf/b",
            f"{IN_LEAF}:16: Section id '/frameworks/leaf/b' is already used at {IN_LEAF}:4",
        ),
        (
            IN_LEAF,
            "id: /frameworks/leaf/e",
            "id: /frameworks/tree/e",
            f"{IN_LEAF}:16: Section '/frameworks/tree/e' does not begin with its framework's id, '/frameworks/leaf/'",
        ),
    ],
)
def test_a_fault_names_file_line_and_remedy(sql: Path, file: str, old: str | None, new: str, fault: str) -> None:
    replace(sql.parent / file, old, new)
    assert any(found.startswith(fault) for found in faults(sql)), faults(sql)


def test_models_convert_text(sql: Path) -> None:
    """YAML's types do not matter: a number is a number and true is true because of the type in a model."""
    replace(sql.parent / IN_POLICY, "name: One\ncon", "name: 007\ncon")
    replace(sql.parent / IN_LEAF, "withdrawn: true", "withdrawn: Yes")
    replace(sql.parent / IN_LEAF, "title: D", "title: 12:30")
    catalog = load_catalog(sql)
    assert [(policy.name, policy.conditions[0].index) for policy in catalog.policies] == [("007", 199)]
    leaf = {section.id[-1]: section for framework in catalog.frameworks for section in framework.sections}
    assert (leaf["e"].withdrawn, leaf["b"].withdrawn, leaf["d"].title) == (True, False, "12:30")


@pytest.mark.parametrize("name", ["policy.yaml", "logic.sql", "description.md", "remediation.md", "cases.yaml"])
def test_a_missing_file_is_named(sql: Path, name: str) -> None:
    (sql / "policies" / "test" / "one" / name).unlink()
    assert [fault.split(". ")[0] for fault in faults(sql)] == [f"sql/policies/test/one/{name}:1: The file is missing"]


def test_an_empty_file_is_named(sql: Path) -> None:
    (sql / "policies" / "test" / "one" / "logic.sql").write_text("\n")
    assert faults(sql) == ["sql/policies/test/one/logic.sql:1: The file is empty"]


def test_a_file_that_is_not_utf8_is_named(sql: Path) -> None:
    (sql / "policies" / "test" / "one" / "description.md").write_bytes(b"na\xefve")
    assert faults(sql) == ["sql/policies/test/one/description.md:1: Not UTF-8: invalid continuation byte at byte 2"]


def test_a_duplicate_id_or_name_names_the_first_place(sql: Path) -> None:
    replace(sql.parent / IN_POLICY, "severity: LOW", "severity: LOW\nheadline: true")
    shutil.copytree(sql / "policies" / "test" / "one", sql / "policies" / "test" / "two")
    shutil.copy(sql / "frameworks" / "hub.yaml", sql / "frameworks" / "other.yaml")
    replace(sql / "frameworks" / "other.yaml", "  - id: /frameworks/hub/a", "  - id: /frameworks/hub/z")
    assert faults(sql) == [
        "sql/frameworks/other.yaml:1: Framework id '/frameworks/hub' is already used at sql/frameworks/hub.yaml:1",
        f"sql/policies/test/two/policy.yaml:1: Policy id '/ce/test/one' is already used at {IN_POLICY}:1",
        f"sql/policies/test/two/policy.yaml:2: Policy name 'One' is already used at {IN_POLICY}:2",
        f"sql/policies/test/two/policy.yaml:3: Policy contextual_name 'One' is already used at {IN_POLICY}:3",
        f"sql/policies/test/two/policy.yaml:9: One policy can have headline: true. Already given at {IN_POLICY}:9",
    ]


def test_all_faults_are_reported_together_in_order_of_file_and_line(sql: Path) -> None:
    replace(sql.parent / IN_POLICY, "severity: LOW", "severty: LOW")
    replace(sql.parent / IN_POLICY, "  - /frameworks/hub/a", "  - /frameworks/hub/x")
    replace(sql.parent / IN_LEAF, "parent: /frameworks/leaf/b", "parent: /frameworks/leaf/x")
    (sql / "policies" / "test" / "one" / "cases.yaml").unlink()
    assert [fault.split(": ")[0] for fault in faults(sql)] == [
        f"{IN_LEAF}:14",
        "sql/policies/test/one/cases.yaml:1",
        f"{IN_POLICY}:1",
        f"{IN_POLICY}:8",
        f"{IN_POLICY}:10",
    ]


def test_a_broken_framework_is_not_held_against_those_who_refer_to_it(sql: Path) -> None:
    replace(sql.parent / IN_LEAF, "title: D", "title: [D]")
    assert [fault.split(": ")[0] for fault in faults(sql)] == [f"{IN_LEAF}:8"]


def test_the_folder_without_frameworks_or_policies_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sql").mkdir()
    assert faults(tmp_path / "sql") == [
        "sql/frameworks:1: No frameworks: there are no files frameworks/*.yaml",
        "sql/policies:1: No policies: there are no folders policies/<service>/<policy>",
    ]
