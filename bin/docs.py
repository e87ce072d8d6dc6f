"""Writes the generated pages of docs/: data-dictionary, errors, permissions, settings, and the end of policies.

The dictionary describes the tables of a published night without any account; errors.md is the table of advice,
permissions.md what AWS has to allow, settings.md the groups of Settings; policies.md ends with all of the catalog.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import cast

# First: without it, a start outside make would end with a traceback.
import startup  # noqa: F401  # isort: skip
import duckdb
from pydantic import BaseModel

from ecr_audit.aws.advice import CAUSES, OUTCOMES
from ecr_audit.aws.ecr.facet_permissions import LIST_IMAGES
from ecr_audit.aws.ecr.facets import FACETS
from ecr_audit.aws.outcomes import NOT_COUNTABLE
from ecr_audit.catalog import Catalog, Policy, input_names, load_catalog
from ecr_audit.compliance import evaluate, roll_up
from ecr_audit.doctor.permissions import to_markdown as permissions_page
from ecr_audit.errors import FinalError
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import REGISTRIES, REPOSITORIES, STAGES
from ecr_audit.lake.snapshot import fetch_snapshot
from ecr_audit.lake.tables import LakeTable
from ecr_audit.publish.build import publish
from ecr_audit.publish.dictionary import load_dictionary, to_markdown
from ecr_audit.publish.exports import LAKE_VIEWS
from ecr_audit.publish.lake_views import view_dictionary
from ecr_audit.publish.tables import TABLES, VIEWS
from ecr_audit.settings import PREFIX, SQL_ROOT, Settings
from ecr_audit.terminal import print_error
from ecr_audit.vocabulary import IMAGE_TAGS_FACET
from ecr_audit.warehouse.sandbox import syntax_nodes
from ecr_audit.warehouse.session import Warehouse, open_warehouse

DOCS = Path(__file__).resolve().parents[1] / "docs"
NIGHT = date(2026, 1, 1)

# The text before it in policies.md is written by hand.
INPUTS = "## Inputs\n"


def main() -> int:
    """Write the pages that changed, and print their names; none if the catalog has a fault. Returns the exit code."""
    try:
        written, heading, _ = (DOCS / "policies.md").read_text(encoding="utf-8").partition(INPUTS)
        pages = {
            "data-dictionary.md": _dictionary(),
            "errors.md": errors_page(),
            "permissions.md": permissions_page(),
            "policies.md": written + heading + catalog_lists(),
            "settings.md": settings_page(),
        }
    except FinalError as fault:
        print_error(fault)
        return 1
    outdated = {
        path: page
        for name, page in pages.items()
        if not (path := DOCS / name).exists() or path.read_text(encoding="utf-8") != page
    }
    for path, page in outdated.items():
        path.write_text(page, encoding="utf-8")
        print(f"Written: docs/{path.name}")
    if not outdated:
        print("docs/ is up to date")
    return 0


@contextmanager
def _empty_lake() -> Iterator[Lake]:
    """A lake with the inventory of a night without any account."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(f"{folder}/lake")
        with lake.writer("inventory", NIGHT) as writer:
            for table in STAGES["inventory"]:
                writer.write(table, table.schema.empty_table())
            writer.commit({})
        yield lake


def _dictionary() -> str:
    with _empty_lake() as lake, tempfile.TemporaryDirectory() as folder:
        catalog = load_catalog(SQL_ROOT)
        evaluate(lake, catalog, NIGHT, owner_tags=())
        roll_up(lake, catalog, NIGHT)
        database = publish(lake, catalog, Path(folder), owner_tags=()).database
        # Its own work, and not confined: the views of the lake read the lake.
        with duckdb.connect(database, read_only=True) as published:
            published.execute((database.parent / LAKE_VIEWS).read_text(encoding="utf-8"))
            return to_markdown(published, load_dictionary(TABLES | VIEWS), view_dictionary())


def errors_page() -> str:
    """docs/errors.md: the table of advice as a page, in Markdown."""
    rows = ["# Outcomes and errors", "", "Made by `make docs` from `plugins/ecr_audit/aws/advice.py`.", ""]
    rows += [
        "## Outcomes of a target",
        "",
        "| outcome | counts in coverage | meaning | what to do |",
        "|---|---|---|---|",
    ]
    rows += [
        f"| `{outcome}` | {'no' if outcome in NOT_COUNTABLE else 'yes'} | {advice.meaning} | {advice.what_to_do} |"
        for outcome, advice in OUTCOMES.items()
    ]
    rows += [
        "",
        "In an account that cannot be entered, every planned region counts, opt-in regions too: nobody can find out"
        " which of them the account has enabled. Once it can be entered, those that it has not enabled are"
        " `REGION_DISABLED`, and no longer count.",
    ]
    rows += ["", "## Errors", "", "The first that fits counts.", ""]
    rows += ["| cause | `error_code`, or words of the message | meaning | what to do |", "|---|---|---|---|"]
    for cause in CAUSES:
        words = cause.words.pattern.split("|") if cause.words else []
        shown = ", ".join([*(f"`{code}`" for code in sorted(cause.codes)), *(f"“{each}”" for each in words)])
        rows.append(f"| {cause.title} | {shown} | {cause.advice.meaning} | {cause.advice.what_to_do} |")
    return re.sub(r"\bdocs/([a-z-]+\.md#[a-z-]+)", r"[\g<0>](\1)", "\n".join(rows)) + "\n"


def settings_page() -> str:
    """docs/settings.md: all settings, a table for each group, in Markdown."""
    rows = [
        "# Settings",
        "",
        "Made by `make docs` from `plugins/ecr_audit/settings/fields.py`.",
        "",
        "Settings are environment variables, checked at the start of every task; all faults are reported together, each"
        " with the variable, its value and the valid ones. `make doctor` checks them, too. An empty variable counts as"
        " unset.",
        "",
        "A folder may begin with `~`, or be relative to the folder in which the audit is started; the log and the"
        " doctor name the absolute path. Entries of a list are separated by commas or semicolons. Quotation marks"
        " belong to a shell, not to a value: `docker --env-file` would keep them, so they are refused.",
    ]
    # The last base has the first fields.
    for group in reversed(cast("tuple[type[BaseModel], ...]", Settings.__bases__)):
        title = (group.__doc__ or "").removesuffix(".")
        rows += ["", f"## {title}", "", "| variable | purpose | valid values | default |", "|---|---|---|---|"]
        for name in group.model_fields:
            field = Settings.model_fields[name]
            extra = field.json_schema_extra
            valid = str(extra["valid"]) if isinstance(extra, dict) else ""
            purpose = re.sub(r"(\w+\.md), (\w+)", _link, field.description or "")
            cells = (f"`{PREFIX}{name.upper()}`", purpose, _sentence(valid), _default(name, field.default))
            # Otherwise Markdown takes <region> for a tag of HTML.
            rows.append(f"| {' | '.join(cells)} |".replace("<", r"\<"))
    return "\n".join(rows) + "\n"


def _link(reference: re.Match[str]) -> str:
    """`policies.md, Facets`, a page and its section, as a link."""
    page, section = reference.groups()
    return f"[{section}]({page}#{section.lower()})"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _default(name: str, default: object) -> str:
    """A default as one would write it into the variable."""
    if default is None or default == ():
        return "`all`" if name in ("regions", "accounts") else "unset"
    if isinstance(default, tuple):
        return f"`{','.join(default)}`"
    return f"`./{default}`" if isinstance(default, Path) else f"`{str(default).lower()}`"


def catalog_lists() -> str:
    """The end of docs/policies.md: the columns of each input, the facets, and each policy with its sections."""
    catalog = load_catalog(SQL_ROOT)
    names = {framework.id: framework.name for framework in catalog.frameworks}
    rows = [
        "",
        "Made by `make docs` from `sql/staging` and `sql/dictionary.yaml`. Columns mean what they mean in the published"
        " table, but `owner` is NULL here where no tag names one. How to add one:"
        " [a new value from AWS](architecture.md#a-new-value-from-aws).",
        "",
    ]
    with (
        _empty_lake() as lake,
        fetch_snapshot(lake, NIGHT, purpose="docs") as snapshot,
        open_warehouse(snapshot, catalog) as warehouse,
    ):
        for name in input_names(SQL_ROOT):
            rows += [*_input_table(warehouse, name), ""]
        rows += [*_given_tables(REPOSITORIES, REGISTRIES), ""]
        rows += [*_facets_table(catalog), ""]
        rows += ["## All policies", "", "Made by `make docs` from `sql/policies` and `sql/frameworks`.", ""]
        for policy in catalog.policies:
            columns = ", ".join(f"`{column}`" for column in _columns_read(warehouse, policy))
            rows += [
                f"### {policy.contextual_name}",
                "",
                policy.description,
                "",
                f"- Id: `{policy.id}`, in [sql/{policy.folder}](../sql/{policy.folder})",
                f"- Severity: {policy.severity}",
                f"- Input: `{policy.input}`; it reads {columns}",
                f"- Facets: {', '.join(f'`{facet}`' for facet in policy.facets) or 'none'}",
                f"- The same check elsewhere: {', '.join(policy.similar_policies) or 'none'}",
                "",
                *_sections_of(catalog, policy, names),
                "",
            ]
    return "\n".join(rows[:-1]) + "\n"


def _input_table(warehouse: Warehouse, name: str) -> list[str]:
    """An input's files, and its columns with type and meaning."""
    dictionary = load_dictionary(TABLES | VIEWS)
    files = [f"staging/{name}.sql", f"staging/objects/{name}.sql"]
    query, objects = (f"[sql/{file}](../sql/{file})" for file in files)
    return [
        f"### `{name}`",
        "",
        f"`logic.sql` reads `staging.{name}` ({query}); {objects} lists its objects.",
        "",
        "| column | type | meaning |",
        "|---|---|---|",
        *(
            f"| `{column}` | `{kind}` | {dictionary.column(name, column)} |"
            for column, kind, *_ in warehouse.connection.execute(f"DESCRIBE staging.{name}").fetchall()
        ),
    ]


def _given_tables(*tables: LakeTable) -> list[str]:
    """The columns of `given` in cases.yaml, with their types: those of the lake's table of each input."""
    rows = ["### Columns of `given`", ""]
    for table in tables:
        described = duckdb.from_arrow(table.schema.empty_table())
        rows += [
            f"For the input `{table.name}`, a row of `given` in `cases.yaml` is one of `lake.{table.name}`, as the scan"
            " writes it.",
            "",
            "| column | type |",
            "|---|---|",
            *(f"| `{name}` | `{kind}` |" for name, kind in zip(described.columns, described.types, strict=True)),
            "",
        ]
    return rows[:-1]


def _facets_table(catalog: Catalog) -> list[str]:
    """The facets, with their calls and permissions, and the policies that read them."""
    rows = [
        "## Facets",
        "",
        "Made by `make docs` from `plugins/ecr_audit/aws/ecr/facets.py` and `sql/policies`. The list of repositories is"
        " read every night. A facet is read by calls of its own, when `ECR_AUDIT_COLLECT` names it and the role has its"
        " permissions ([permissions.md](permissions.md)). Otherwise the policies that read it are UNDETERMINED where"
        " they depend on it, with the reason. By rotation: each object once in `ECR_AUDIT_COLLECT_ROTATION_NIGHTS`"
        " nights ([settings.md](settings.md)): with R repositories and N nights some R/N calls a night. Such a value"
        " counts until twice as many nights have passed, so that it may miss one turn; a repository that has not had"
        " its turn is *not read*.",
        "",
        "| word | content | calls | read | permissions | policies |",
        "|---|---|---|---|---|---|",
    ]
    for each in FACETS:
        permissions = "<br>".join(f"`{permission.action}`" for permission in each.permissions)
        policies = "<br>".join(policy.contextual_name for policy in catalog.policies if each.facet in policy.facets)
        turns = "by rotation" if each.rotates else "every night"
        rows.append(f"| `{each.facet}` | {each.what} | {each.calls} | {turns} | {permissions} | {policies or 'none'} |")
    policies = ", ".join(f"*{each.contextual_name}*" for each in catalog.policies if IMAGE_TAGS_FACET in each.facets)
    return [
        *rows,
        "",
        f"The facet `{IMAGE_TAGS_FACET}` is read by a DAG of its own, `ecr_image_tags`, with `ECR_AUDIT_IMAGE_TAGS` and"
        f" the permission `{LIST_IMAGES.action}`: one call for each 1,000 tags of a repository. The policies {policies}"
        " read it, in `staging.repository_image_tags`"
        " ([sql/staging/repository_image_tags.sql](../sql/staging/repository_image_tags.sql)). In `cases.yaml` a"
        " repository has its row of `lake.image_tag_reads` as `image_tags`, and a case the setting under the same key"
        " (default: all).",
    ]


def _columns_read(warehouse: Warehouse, policy: Policy) -> list[str]:
    """The columns of its input that a policy's logic.sql names."""
    described = warehouse.connection.execute(f"DESCRIBE staging.{policy.input}").fetchall()
    [(tree,)] = warehouse.connection.execute(
        "SELECT json_serialize_sql($query)", {"query": policy.logic_sql}
    ).fetchall()
    named = {node["column_names"][-1] for node in syntax_nodes(tree) if node.get("type") == "COLUMN_REF"}
    return [column for column, *_ in described if column in named]


def _sections_of(catalog: Catalog, policy: Policy, names: dict[str, str]) -> list[str]:
    held = [row for row in catalog.section_policies() if row.policy_id == policy.id]
    if not held:
        return ["It is mapped to no section."]
    rows = ["| framework | section | held |", "|---|---|---|"]
    for row in held:
        section = catalog.sections[row.section_id]
        source = catalog.sections[row.inherited_from] if row.inherited_from else None
        how = f"inherited from {names[source.framework_id]}, {source.number or source.title}" if source else "mapped"
        rows.append(f"| {names[section.framework_id]} | {section.title} | {how} |")
    return rows


if __name__ == "__main__":
    sys.exit(main())
