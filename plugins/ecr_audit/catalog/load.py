"""Reads and validates the catalog's files. All faults are reported together, each with file and line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from ecr_audit.catalog.graph import Catalog
from ecr_audit.catalog.models import Framework, FrameworkYaml, Policy, PolicyYaml, Section, SectionYaml
from ecr_audit.vocabulary import NOT_READ
from ecr_audit.yaml_files.faults import Faults, nearest
from ecr_audit.yaml_files.located_yaml import Located, read_located

# cases.yaml is read by the tests only, but a policy without cases is not accepted.
POLICY_FILES = ("policy.yaml", "logic.sql", "description.md", "remediation.md", "cases.yaml")


def load_catalog(sql_root: Path) -> Catalog:
    """Load every policy (`policies/<service>/<policy>/`) and framework (`frameworks/*.yaml`) of the `sql/` folder.

    Raises CatalogError, which lists every fault found.
    """
    faults = Faults(sql_root.parent)
    framework_files = sorted((sql_root / "frameworks").glob("*.yaml"))
    if not framework_files:
        faults.add(sql_root / "frameworks", 1, "No frameworks: there are no files frameworks/*.yaml")
    frameworks = [
        located for path in framework_files if (located := read_located(path, FrameworkYaml, faults)) is not None
    ]
    sections = _Sections(
        {section.id for located in frameworks for section in located.model.sections},
        all_read=len(frameworks) == len(framework_files),
    )
    _check_frameworks(frameworks, sections, faults)

    folders = sorted(path for path in (sql_root / "policies").glob("*/*") if path.is_dir())
    if not folders:
        faults.add(sql_root / "policies", 1, "No policies: there are no folders policies/<service>/<policy>")
    policies = [
        (folder, policy) for folder in folders if (policy := _read_policy(folder, sections, faults)) is not None
    ]
    _check_policies([policy for _, policy in policies], input_names(sql_root), faults)
    faults.raise_if_any()
    return Catalog(
        [_policy(folder, policy.model, sql_root) for folder, policy in policies],
        [_framework(located.model) for located in frameworks],
        sql_root,
    )


def input_names(sql_root: Path) -> list[str]:
    """The inputs of policies, sorted: each is a file of sql/staging/objects."""
    return sorted(path.stem for path in (sql_root / "staging" / "objects").glob("*.sql"))


class _Sections:
    """The sections that there are, to check references against."""

    def __init__(self, ids: set[str], *, all_read: bool) -> None:
        self._ids = ids
        self._all_read = all_read

    def fault(self, section_id: str) -> str | None:
        """The fault of a reference to this section, if any.

        Sections of a framework whose file could not be read are unknown: a reference to them is not a fault.
        """
        framework_id = "/".join(section_id.split("/")[:3])
        is_read = self._all_read or any(known.startswith(f"{framework_id}/") for known in self._ids)
        if section_id in self._ids or not is_read:
            return None
        return f"Unknown framework section '{section_id}'. {nearest(section_id, self._ids)}"


def _read_policy(folder: Path, sections: _Sections, faults: Faults) -> Located[PolicyYaml] | None:
    for name in POLICY_FILES:
        path = folder / name
        if not path.is_file():
            faults.add(path, 1, f"The file is missing. A policy's folder contains {', '.join(POLICY_FILES)}")
        elif name != "policy.yaml":
            try:
                if not path.read_text(encoding="utf-8").strip():
                    faults.add(path, 1, "The file is empty")
            except UnicodeDecodeError as error:
                faults.add(path, 1, f"Not UTF-8: {error.reason} at byte {error.start}")
    path = folder / "policy.yaml"
    return read_located(path, PolicyYaml, faults, sections.fault) if path.is_file() else None


def _check_frameworks(frameworks: list[Located[FrameworkYaml]], sections: _Sections, faults: Faults) -> None:
    _check_unique(((located, located.model.id, ("id",)) for located in frameworks), "Framework id", faults)
    _check_unique(
        (
            (located, section.id, ("sections", index, "id"))
            for located in frameworks
            for index, section in enumerate(located.model.sections)
        ),
        "Section id",
        faults,
    )
    for located in frameworks:
        framework = located.model
        own_ids = {section.id for section in framework.sections}
        for index, section in enumerate(framework.sections):
            place = ("sections", index)
            if not section.id.startswith(f"{framework.id}/"):
                what = f"Section '{section.id}' does not begin with its framework's id, '{framework.id}/'"
                faults.add(located.path, located.line(*place, "id"), what)
            if section.parent is not None and section.parent not in own_ids:
                what = f"Unknown parent '{section.parent}'. {nearest(section.parent, own_ids)}"
                faults.add(located.path, located.line(*place, "parent"), what)
            for number, similar in enumerate(section.similar):
                if fault := sections.fault(similar):
                    faults.add(located.path, located.line(*place, "similar", number), fault)
        _check_parent_cycles(located, faults)


def _check_parent_cycles(located: Located[FrameworkYaml], faults: Faults) -> None:
    sections = located.model.sections
    parents = {section.id: section.parent for section in sections}
    settled: set[str] = set()
    for index, section in enumerate(sections):
        way: list[str] = []
        current: str | None = section.id
        while current is not None and current not in settled and current not in way:
            way.append(current)
            current = parents.get(current)
        if current in way:
            cycle = " -> ".join([*way[way.index(current) :], current])
            faults.add(located.path, located.line("sections", index, "parent"), f"Parents form a cycle: {cycle}")
        settled.update(way)


def _check_policies(policies: list[Located[PolicyYaml]], inputs: list[str], faults: Faults) -> None:
    # People know a policy by its names: on a page, two of the same name would look like one.
    for key in ("id", "name", "contextual_name"):
        _check_unique(((located, getattr(located.model, key), (key,)) for located in policies), f"Policy {key}", faults)
    headlines = [located for located in policies if located.model.headline]
    for located in headlines[1:]:
        place = faults.at(headlines[0].path, headlines[0].line("headline"))
        what = f"One policy can have headline: true. Already given at {place}"
        faults.add(located.path, located.line("headline"), what)
    for located in policies:
        policy = located.model
        if policy.input not in inputs:
            what = f"Unknown input '{policy.input}'. Valid: {', '.join(inputs)}"
            faults.add(located.path, located.line("input"), what)
        indexes = [condition.index for condition in policy.conditions]
        for number, index in enumerate(indexes):
            if index in indexes[:number]:
                what = f"Condition index {index} is given twice. Give each condition a number of its own"
                faults.add(located.path, located.line("conditions", number, "index"), what)
        if policy.facets and NOT_READ not in indexes:
            what = f"A policy that reads a facet needs condition {NOT_READ}, UNDETERMINED: what it reads was not read"
            faults.add(located.path, located.line("facets"), what)
        for index, section_id in enumerate(policy.ignored_mappings):
            if section_id in policy.mappings:
                what = f"Section '{section_id}' is both in mappings and in ignored_mappings"
                faults.add(located.path, located.line("ignored_mappings", index), what)


def _check_unique(
    items: Iterable[tuple[Located[PolicyYaml] | Located[FrameworkYaml], str, tuple[int | str, ...]]],
    what: str,
    faults: Faults,
) -> None:
    first: dict[str, str] = {}
    for located, value, location in items:
        line = located.line(*location)
        if value in first:
            faults.add(located.path, line, f"{what} '{value}' is already used at {first[value]}")
        first.setdefault(value, faults.at(located.path, line))


def _policy(folder: Path, policy: PolicyYaml, sql_root: Path) -> Policy:
    texts = {path.name: path.read_text(encoding="utf-8") for path in (folder / name for name in POLICY_FILES)}
    # A NUL between the two: moving text from one file's end to the other's start changes the hash.
    hashed = "\0".join([texts["policy.yaml"], texts["logic.sql"]])
    return Policy(
        **policy.model_dump(),
        logic_sql=texts["logic.sql"],
        description_md=texts["description.md"],
        remediation_md=texts["remediation.md"],
        policy_yaml=texts["policy.yaml"],
        hash=hashlib.sha256(hashed.encode()).hexdigest(),
        folder=folder.relative_to(sql_root).as_posix(),
    )


def _framework(framework: FrameworkYaml) -> Framework:
    children: dict[str | None, list[SectionYaml]] = {}
    for section in framework.sections:
        children.setdefault(section.parent, []).append(section)

    def depth_first(parent_id: str | None) -> Iterator[SectionYaml]:
        for section in children.get(parent_id, []):
            yield from chain([section], depth_first(section.id))

    sections = [
        Section(
            id=section.id,
            framework_id=framework.id,
            title=section.title,
            parent_id=section.parent,
            similar=section.similar,
            withdrawn=section.withdrawn,
            position=position,
        )
        for position, section in enumerate(depth_first(None), start=1)
    ]
    return Framework(id=framework.id, name=framework.name, sections=sections)
