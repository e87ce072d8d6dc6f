"""Policies reach the sections that they should, and sections stand in their tree."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from ecr_audit.catalog import Catalog, SectionPolicy, load_catalog
from ecr_audit.settings import SQL_ROOT
from support.policies import MUTABILITY, STRICT


def test_policies_are_inherited_transitively_and_loops_end(sql: Path) -> None:
    # e lists both d and a: the policy comes by the shorter way, from a.
    assert load_catalog(sql).section_policies() == [
        SectionPolicy("/frameworks/hub/a", "/ce/test/one", None),
        SectionPolicy("/frameworks/leaf/b", "/ce/test/one", "/frameworks/hub/a"),
        SectionPolicy("/frameworks/leaf/c", "/ce/test/one", "/frameworks/leaf/b"),
        SectionPolicy("/frameworks/leaf/d", "/ce/test/one", "/frameworks/leaf/c"),
        SectionPolicy("/frameworks/leaf/e", "/ce/test/one", "/frameworks/hub/a"),
    ]


def test_an_ignored_mapping_is_neither_reached_nor_passed_through(sql: Path) -> None:
    # Without c there is no way to d; e is still reached, straight from a.
    with (sql / "policies" / "test" / "one" / "policy.yaml").open("a") as stream:
        stream.write("ignored_mappings: [/frameworks/leaf/c]\n")
    linked = load_catalog(sql).linked_sections("/ce/test/one")
    assert [section.id for section in linked] == ["/frameworks/hub/a", "/frameworks/leaf/b", "/frameworks/leaf/e"]


def test_sections_are_put_in_tree_order(sql: Path) -> None:
    # In the file d stands before its parent c.
    catalog = load_catalog(sql)
    assert [(section.title, section.position) for section in catalog.frameworks[1].sections] == [
        ("B", 1),
        ("C", 2),
        ("D", 3),
        ("E", 4),
    ]
    assert catalog.descendants("/frameworks/leaf/b") == ["/frameworks/leaf/c", "/frameworks/leaf/d"]
    assert catalog.descendants("/frameworks/leaf/d") == []


@pytest.mark.parametrize(("file", "changes"), [("policy.yaml", True), ("logic.sql", True), ("description.md", False)])
def test_the_hash_covers_everything_that_decides_a_verdict(sql: Path, file: str, changes: bool) -> None:
    before = load_catalog(sql).policies[0].hash
    with (sql / "policies" / "test" / "one" / file).open("a") as stream:
        stream.write("\n# changed\n")
    assert (load_catalog(sql).policies[0].hash != before) == changes


def test_the_mutability_policy_reaches_exactly_ten_sections(catalog: Catalog) -> None:
    names = {framework.id: framework.name for framework in catalog.frameworks}
    rows = [
        (names[section.framework_id], section.title, len(catalog.descendants(section.id)))
        for section in catalog.linked_sections(MUTABILITY)
    ]
    nist, high, moderate = (
        "NIST SP 800-53 Revision 5",
        "FedRAMP High Security Controls",
        "FedRAMP Moderate Security Controls",
    )
    assert rows == [
        (
            "AWS Foundational Security Best Practices v1.0.0",
            "[ECR.2] ECR private repositories should have tag immutability configured",
            0,
        ),
        ("Cloudaware Framework", "System Configuration", 0),
        (high, "CM-2 Baseline Configuration (L)(M)(H)", 3),
        (high, "CM-8(1) Updates During Installation and Removal (M)(H)", 0),
        ("FedRAMP Low Security Controls", "CM-2 Baseline Configuration (L)(M)(H)", 0),
        (moderate, "CM-2 Baseline Configuration (L)(M)(H)", 3),
        (moderate, "CM-8(1) Updates During Installation and Removal (M)(H)", 0),
        (nist, "CA-9(1) Internal System Connections _ Compliance Checks", 0),
        (nist, "CM-2 Baseline Configuration", 7),
        (nist, "CM-8(1) System Component Inventory _ Updates During Installation and Removal", 0),
    ]


FSBP, CLOUDAWARE, NIST, PCI = "aws-fsbp-v1.0.0", "cloudaware", "nist-sp-800-53-r5", "pci-dss-v4.0.1"
HIGH, LOW, MODERATE = "fedramp-high", "fedramp-low", "fedramp-moderate"

# The sections that hold each policy, with the numbers of sections below them in the published catalogs.
SECTIONS = {
    "disable-repository-manual-scanning": {
        FSBP: {"ecr/01": 0},
        CLOUDAWARE: {"resource-security/threat-protection": 0},
        HIGH: {"ra/05": 6},
        LOW: {"ra/05": 2},
        MODERATE: {"ra/05": 4},
        NIST: {"ra/05": 11},
        PCI: {"6/2/3": 1, "6/2/4": 0},
    },
    "repository-encryption": {
        FSBP: {"ecr/05": 0},
        HIGH: {"au/09": 3, "cm/03/06": 0, "sc/07/10": 0, "sc/13": 0, "sc/28": 1, "sc/28/01": 0},
        LOW: {"au/09": 0, "sc/13": 0, "sc/28": 1, "sc/28/01": 0},
        MODERATE: {"au/09": 1, "sc/13": 0, "sc/28": 1, "sc/28/01": 0},
        NIST: {
            "au/09": 7,
            "ca/09/01": 0,
            "cm/03/06": 0,
            "sc/07/10": 0,
            "sc/12/02": 0,
            "sc/13": 4,
            "sc/28": 3,
            "sc/28/01": 0,
            "si/07/06": 0,
        },
    },
    "repository-lifecycle": {
        FSBP: {"ecr/03": 0},
        CLOUDAWARE: {"cost-efficiency-and-optimization/resource-optimization": 0},
        HIGH: {"cm/02": 3, "cm/02/02": 0},
        LOW: {"cm/02": 0},
        MODERATE: {"cm/02": 3, "cm/02/02": 0},
        NIST: {"ca/09/01": 0, "cm/02": 7, "cm/02/02": 0},
    },
    "registry-new-repositories-mutable": {},
    "repository-public-access": {},
}


@pytest.mark.parametrize("policy", SECTIONS)
def test_a_policy_reaches_the_sections_that_security_hub_relates(policy: str) -> None:
    whole = load_catalog(SQL_ROOT)
    held: dict[str, dict[str, int]] = {}
    for section in whole.linked_sections(f"/ce/ca/aws/ecr/{policy}"):
        _, _, framework, path = section.id.split("/", 3)
        held.setdefault(framework, {})[path] = len(whole.descendants(section.id))
    assert held == SECTIONS[policy]


def test_the_whole_catalog_leaves_the_mutability_policy_its_ten(catalog: Catalog) -> None:
    assert load_catalog(SQL_ROOT).linked_sections(MUTABILITY) == catalog.linked_sections(MUTABILITY)


def test_the_headline_comes_first_then_policies_by_their_number_of_sections() -> None:
    """Encryption has more sections than the headline; the place is published as policies.position."""
    whole = load_catalog(SQL_ROOT)
    shown = [policy.id.rpartition("/")[2] for policy in whole.in_order()]
    assert shown[:3] == ["repository-image-tag-mutability", "repository-encryption", "repository-lifecycle"]
    rows = whole.as_arrow()["policies"].select(["policy_id", "position"]).sort_by("position").to_pylist()
    assert rows == [{"policy_id": p.id, "position": place} for place, p in enumerate(whole.in_order(), start=1)]


def test_only_two_of_the_ten_are_mapped_directly(catalog: Catalog) -> None:
    direct = [row.section_id for row in catalog.section_policies() if row.inherited_from is None]
    assert direct == [
        "/frameworks/aws-fsbp-v1.0.0/ecr/02",
        "/frameworks/cloudaware/resource-reliability/system-configuration",
    ]


def test_the_strict_policy_is_mapped_to_no_section(catalog: Catalog) -> None:
    assert catalog.linked_sections(STRICT) == []


@pytest.mark.parametrize(
    ("section_id", "sub_sections"),
    [
        ("/frameworks/nist-sp-800-53-r5/cm/08", 9),
        ("/frameworks/nist-sp-800-53-r5/ca/09", 1),
        ("/frameworks/fedramp-low/cm/08", 0),
        ("/frameworks/fedramp-moderate/cm/08", 2),
        ("/frameworks/fedramp-high/cm/08", 4),
        ("/frameworks/fedramp-high/cm/03", 4),
        ("/frameworks/fedramp-high/sc/07", 10),
        ("/frameworks/nist-sp-800-53-r5/cm/03", 8),
        ("/frameworks/nist-sp-800-53-r5/sc/07", 29),
        ("/frameworks/nist-sp-800-53-r5/sc/12", 6),
        ("/frameworks/nist-sp-800-53-r5/si/07", 17),
        ("/frameworks/pci-dss-v4.0.1/6/2", 5),
    ],
)
def test_sub_sections_are_those_of_the_published_catalogs(catalog: Catalog, section_id: str, sub_sections: int) -> None:
    assert len(catalog.descendants(section_id)) == sub_sections


def test_withdrawn_sections_are_marked(catalog: Catalog) -> None:
    cm = "/frameworks/nist-sp-800-53-r5/cm/"
    withdrawn = [section_id for section_id, section in catalog.sections.items() if section.withdrawn]
    assert [section_id for section_id in withdrawn if section_id.startswith(cm)] == [
        f"{cm}02/01",
        f"{cm}02/04",
        f"{cm}02/05",
        f"{cm}08/05",
    ]


def test_the_tables_answer_in_sql(catalog: Catalog) -> None:
    # The FedRAMP High family: CM itself, CM-2 with 3 below it, CM-3 and CM-8 with 4 each: 14 below CM. The policy
    # counts in CM through CM-2 and CM-8(1), in CM-8 through CM-8(1), in CM-2(2) not at all. AU-9 comes before.
    with duckdb.connect() as session:
        for name, table in catalog.as_arrow().items():
            session.register(name, table)
        rows = session.sql("""
            SELECT s.position, s.section_id, s.parent_id, s.sub_sections, count(DISTINCT p.policy_id)
            FROM sections AS s
            JOIN section_closure AS c USING (section_id)
            LEFT JOIN section_policies AS p ON p.section_id = c.descendant_section_id
            WHERE s.framework_name = 'FedRAMP High Security Controls'
            GROUP BY ALL
            ORDER BY s.position
        """).fetchall()
        policies = session.sql("SELECT policy_id, internal_rules FROM policies ORDER BY policy_id").fetchall()
    cm = "/frameworks/fedramp-high/cm"
    assert rows[5:8] == [
        (6, cm, None, 14, 1),
        (7, f"{cm}/02", cm, 3, 1),
        (8, f"{cm}/02/02", f"{cm}/02", 0, 0),
    ]
    assert rows[15] == (16, f"{cm}/08", cm, 4, 1)
    assert policies == [(STRICT, []), (MUTABILITY, ["dec-x-767cce1f"])]


@pytest.mark.parametrize(
    ("section_id", "number"),
    [
        ("/frameworks/aws-fsbp-v1.0.0/ecr", None),
        ("/frameworks/aws-fsbp-v1.0.0/ecr/02", "ECR.2"),
        ("/frameworks/nist-sp-800-53-r5/cm", "CM"),
        ("/frameworks/nist-sp-800-53-r5/cm/02", "CM-2"),
        ("/frameworks/fedramp-high/cm/08/01", "CM-8(1)"),
        ("/frameworks/pci-dss-v4.0.1/6", "6"),
        ("/frameworks/pci-dss-v4.0.1/6/2/3/1", "6.2.3.1"),
        ("/frameworks/cloudaware/resource-reliability/system-configuration", None),
    ],
)
def test_a_section_has_the_number_of_its_title(catalog: Catalog, section_id: str, number: str | None) -> None:
    assert catalog.sections[section_id].number == number
