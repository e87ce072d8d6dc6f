"""The documents: the commands of docs/deploy.md run, and everything that the documents name exists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.organizations.models import organizations_backends
from moto.server import ThreadedMotoServer

import docs
import ecr_audit
from docs import INPUTS, catalog_lists, settings_page
from ecr_audit.catalog.models import PolicyYaml
from ecr_audit.settings import SQL_ROOT, Settings
from support.paths import DOCUMENTS, ROOT

# Every path that these name has to be there, too.
NAMING_FILES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *(ROOT / "docs" / f"{name}.md" for name in ("architecture", "concepts", "deploy", "observability")),
    *(ROOT / "docs" / f"{name}.md" for name in ("policies", "proxy", "security", "settings")),
    *sorted((ROOT / "docs" / "adr").glob("0*.md")),
]


def code(document: Path) -> str:
    """All that a document sets as code: blocks, indented or fenced, and spans."""
    text = document.read_text(encoding="utf-8")
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    .*$", text, flags=re.MULTILINE)
    return "\n".join([*fenced, *indented, *re.findall(r"`([^`\n]+)`", text)])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_settings_that_are_named_are_there(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+)(?: [a-z-]+)*:", makefile, flags=re.MULTILINE))
    assert set(re.findall(r"\bmake (?!it\b)([a-z]+(?:-[a-z]+)*)", code(document))) <= targets
    settings = {f"ECR_AUDIT_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"\bECR_AUDIT_[A-Z_]+\b", document.read_text(encoding="utf-8")))
    assert named <= settings


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    """To a file, or to a heading of a document, by the anchor that GitHub gives it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}, target


def test_the_generated_pages_are_up_to_date() -> None:
    """Those that no test beside their source holds."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page(), "run make docs"
    written, heading, generated = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8").partition(INPUTS)
    assert written and heading
    assert generated == catalog_lists(), "run make docs"


def test_a_fault_of_the_catalog_is_all_that_make_docs_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = tmp_path / "sql"
    shutil.copytree(SQL_ROOT, sql)
    (sql / "policies/ecr/repository-image-tag-mutability/cases.yaml").unlink()
    (tmp_path / "policies.md").write_text("By hand.\n", encoding="utf-8")
    monkeypatch.setattr(docs, "SQL_ROOT", sql)
    monkeypatch.setattr(docs, "DOCS", tmp_path)
    assert docs.main() == 1
    reported = capsys.readouterr().err.splitlines()
    assert reported[0] == "The catalog has 1 fault:"
    assert reported[1].startswith("sql/policies/ecr/repository-image-tag-mutability/cases.yaml:1: The file is missing")
    assert len(reported) == 2
    assert [path.name for path in tmp_path.glob("*.md")] == ["policies.md"], "no page is written"


def test_adding_a_policy_names_every_key_and_its_valid_values() -> None:
    written, _, _ = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8").partition(INPUTS)

    def values(schema: Any) -> list[str]:
        if isinstance(schema, list):
            return [value for each in schema for value in values(each)]
        if not isinstance(schema, dict):
            return []
        own = [*schema.get("enum", []), *([schema["const"]] if "const" in schema else [])]
        return [*own, *values(list(schema.values()))]

    named = [*PolicyYaml.model_fields, *values(PolicyYaml.model_json_schema())]
    assert {"severity", "CRITICAL", "COMPLIANCE_POLICY", "production", "exclusion_filters"} <= set(named)
    assert [each for each in named if not re.search(rf"`\[?{re.escape(each)}\]?`", written)] == []


def test_make_docs_prints_the_pages_that_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("data-dictionary.md", "errors.md", "permissions.md", "policies.md"):
        shutil.copy(ROOT / "docs" / name, tmp_path)
    with (tmp_path / "policies.md").open("a", encoding="utf-8") as page:
        page.write("### A policy that is no longer there\n")
    monkeypatch.setattr(docs, "DOCS", tmp_path)
    assert docs.main() == 0
    assert capsys.readouterr().out.splitlines() == ["Written: docs/policies.md", "Written: docs/settings.md"]
    assert docs.main() == 0
    assert capsys.readouterr().out == "docs/ is up to date\n"


def test_every_setting_has_a_purpose_and_valid_values() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra, dict) and field.json_schema_extra["valid"], name


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*") if path.suffix in (".md", ".ipynb")} - {"index.md"}
    assert pages - set(re.findall(r"\]\(([\w.-]+)", index)) == set()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_the_versions_agree() -> None:
    """The program's, the package's, and the newest in the changelog."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r'^version = "(.*)"$', project, flags=re.MULTILINE) == [ecr_audit.__version__]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    unreleased, newest, *_ = re.findall(r"^## (.*)$", changelog, flags=re.MULTILINE)
    assert unreleased == "Unreleased"
    assert re.fullmatch(rf"{re.escape(ecr_audit.__version__)} - \d{{4}}-\d\d-\d\d", newest)


@pytest.mark.parametrize("document", NAMING_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_are_there(document: Path) -> None:
    paths = set(re.findall(r"(?<![\w/.-])(?:deploy|docs|dags|plugins|sql|tests|bin)/[\w./-]*", code(document)))
    assert paths
    assert [path for path in sorted(paths) if not (ROOT / path.rstrip(".")).exists()] == []


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The environment of a shell in which `aws` talks to moto."""
    stand_in = tmp_path / "bin" / "aws"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("aws_cli.py")}" "$@"\n')
    stand_in.chmod(0o755)
    return {**os.environ, "PATH": f"{stand_in.parent}:{os.environ['PATH']}"}


# From the organization's policy, which moto does not know.
@pytest.mark.filterwarnings("ignore:Tried to parse AWS.*(Organizations|BucketPolicy)")
def test_the_commands_of_deploy_md_make_the_roles(shell: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand, one after the other, in one shell and one account, with a stand-in for the AWS CLI."""
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    script = "\n".join(["set -eu", *blocks, 'echo "$ECR_AUDIT_EXTERNAL_ID"'])
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    try:
        member_id = organization_with_a_member()
        bash = shutil.which("bash")
        assert bash
        environment = {**shell, "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"]}
        done = subprocess.run([bash, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        external_id = done.stdout.split()[-1]
        assert re.fullmatch("[0-9a-f]{32}", external_id)
        hub_role_arn = role("ecr-audit-hub")["Arn"]
        organization_id = boto3.client("organizations").describe_organization()["Organization"]["Id"]
        for account_id in (MANAGEMENT, member_id):
            trust, tags = role("ecr-audit", account_id)["AssumeRolePolicyDocument"]["Statement"]
            assert trust["Principal"] == tags["Principal"] == {"AWS": hub_role_arn}
            only_if = {"sts:ExternalId": external_id, "aws:PrincipalOrgID": organization_id}
            assert trust["Condition"] == {"StringEquals": only_if}
        for part in ("pages", "callbacks"):
            role(f"ecr-audit-{part}")
        stack_set = boto3.client("cloudformation").describe_stack_set(StackSetName="ecr-audit-role")
        assert stack_set["StackSet"]["PermissionModel"] == "SERVICE_MANAGED"
    finally:
        server.stop()


# Whose keys moto takes all keys for.
MANAGEMENT = "123456789012"


def organization_with_a_member() -> str:
    """Found an organization on moto's AWS. Returns the id of its member account."""
    organizations = boto3.client("organizations")
    organizations.create_organization(FeatureSet="ALL")
    # moto would deploy a service-managed StackSet to the management account as well; CloudFormation does not.
    organizations_backends[MANAGEMENT]["aws"].accounts[0].parent_id = "elsewhere"
    member = organizations.create_account(Email="member@example.com", AccountName="member")
    return str(member["CreateAccountStatus"]["AccountId"])


def role(name: str, account_id: str = MANAGEMENT) -> Any:
    """A role as IAM of its account describes it."""
    keys = boto3.client("sts").assume_role(RoleArn=f"arn:aws:iam::{account_id}:role/any", RoleSessionName="test")
    given = keys["Credentials"]
    iam = boto3.client(
        "iam",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    return iam.get_role(RoleName=name)["Role"]
