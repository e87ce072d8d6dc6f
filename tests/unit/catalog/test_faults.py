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

# A text of the policy, its replacement, and the fault that then begins at a line of the file.
POLICY_FAULTS = [
    (
        "severity: LOW",
        "severity: LOW\nfacets: [keys]",
        "9: A policy that reads a facet needs condition 699, UNDETERMINED: what it reads was not read",
    ),
    ("index: 199", "index: 699", "11: conditions.0.status: 'INCOMPLIANT' is not valid. Condition 699 means that"),
    ("severity: LOW\n", "", "1: Key 'severity' is missing"),
    ("severity: LOW", "severity: HIHG", "8: severity: 'HIHG' is not valid. Valid: LOW, MEDIUM, HIGH, CRITICAL"),
    (
        "status: INCOMPLIANT",
        "status: NONCOMPLIANT",
        "11: conditions.0.status: 'NONCOMPLIANT' is not valid. Valid: COMPLIANT, INCOMPLIANT, UND",
    ),
    ("severity: LOW", "severity:", "8: severity: has no value. Valid: LOW, MEDIUM"),
    ("[production]", "", "7: flags: has no value. Give a list; [] for none"),
    ("[RELIABILITY]", "", "6: categories: has no value. Give a list"),
    ("name: One\ncon", "name:\ncon", "2: name: has no value. Give one"),
    ("severity:", "severty:", "8: Unknown key 'severty'. Nearest: severity"),
    (
        "name: One\ncon",
        "name: One: two\ncon",
        "2: Not valid YAML: mapping values are not allowed here (put a text with a colon in quotation",
    ),
    (
        "severity: LOW",
        "  severity: LOW",
        "8: Not valid YAML: expected <block end>, but found '<block mapping start>' (indentation?)",
    ),
    (
        "severity: LOW",
        "\tseverity: LOW",
        "8: Not valid YAML: found character '\\t' that cannot start any token (indent with spaces",
    ),
    ("name: One\ncon", "name: [7]\ncon", "2: name: ['7'] is not valid. Input should be a valid str"),
    ("[production]", "production", "7: flags: 'production' is not valid. Give a list; [] for none"),
    ("[RELIABILITY]", "[RELIABLE]", "6: categories.0: 'RELIABLE' is not valid. Valid: COST, OPERA"),
    ("[RELIABILITY]", "[]", "6: categories: [] is not valid."),
    ("id: /ce/test/one", "id: ce test", "1: id: 'ce test' is not valid."),
    ("name: One\ncon", "name: One\nname: Two\ncon", "3: Key 'name' is given twice"),
    ("flags: [production]", "flags: }", "7: Not valid YAML: "),
    (None, "", "1: The file is empty"),
    (None, "- a list", "1: the file: ['a list'] is not valid."),
    (
        "  - /frameworks/hub/a",
        "  - /frameworks/hub/a\n  - /frameworks/hubs/a",
        "11: Unknown framework section '/frameworks/hubs/a'. Nearest: /frameworks/hub/a",
    ),
    (
        "mappings:",
        "ignored_mappings: [/frameworks/leaf/x]\nmappings:",
        "9: Unknown framework section '/frameworks/leaf/x'. Nearest: /frameworks/leaf/",
    ),
    (
        "mappings:",
        "ignored_mappings: [/frameworks/hub/a]\nmappings:",
        "9: Section '/frameworks/hub/a' is both in mappings and in ignored_mappings",
    ),
    ("index: 199", "index: 0x1f", "11: conditions.0.index: '0x1f' is not valid. Input"),
    ("index: 199", "index: 399", "11: conditions.0.index: '399' is not valid. 99, 399, 599 are the engine's."),
    ("Always.}", "Always.}, {index: 199, status: COMPLIANT, when: Never.}", "11: Condition index 199 is given twice."),
    ("flags: [production]", "flags: &f [production, *f]", "7: The alias *f is not allowed"),
]
# The same for a framework.
LEAF_FAULTS = [
    ("title: D", "titel: D", "8: Unknown key 'titel'. Nearest: title"),
    ("title: D", "titel: D", "7: Key 'title' is missing"),
    ("withdrawn: true", "withdrawn: maybe", "19: sections.3.withdrawn: 'maybe' is not valid."),
    ("withdrawn: true", "withdrawn:", "19: sections.3.withdrawn: Is empty."),
    (
        "parent: /frameworks/leaf/b",
        "parent: /frameworks/hub/a",
        "14: Unknown parent '/frameworks/hub/a'. Nearest: /frameworks/leaf/",  # one of another framework is not valid
    ),
    (
        "      - /frameworks/leaf/c",
        "      - /frameworks/laef/c",
        "11: Unknown framework section '/frameworks/laef/c'. Nearest: /frameworks/leaf/c",
    ),
    (
        "parent: /frameworks/leaf/b",
        "parent: /frameworks/leaf/d",
        "9: Parents form a cycle: /frameworks/leaf/d -> /frameworks/leaf/c -> /frameworks/leaf/d",
    ),
    (
        "id: /frameworks/leaf/e",
        "id: /frameworks/leaf/b",
        f"16: Section id '/frameworks/leaf/b' is already used at {IN_LEAF}:4",
    ),
    (
        "id: /frameworks/leaf/e",
        "id: /frameworks/tree/e",
        "16: Section '/frameworks/tree/e' does not begin with its framework's id, '/frameworks/leaf/'",
    ),
]


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [(file, *each) for file, cases in ((IN_POLICY, POLICY_FAULTS), (IN_LEAF, LEAF_FAULTS)) for each in cases],
)
def test_a_fault_names_file_line_and_remedy(sql: Path, file: str, old: str | None, new: str, fault: str) -> None:
    replace(sql.parent / file, old, new)
    assert any(found.startswith(f"{file}:{fault}") for found in faults(sql)), faults(sql)


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
