"""The documents: the commands of docs/deploy.md run, and what the documents name is there."""

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

from ecr_audit.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Of these every path that is named has to be there, too.
OURS = [ROOT / "docs" / name for name in ("deploy.md", "observability.md", "proxy.md", "security.md")]


def code(document: Path) -> str:
    """All that a document sets as code: blocks, indented or fenced, and spans."""
    text = document.read_text(encoding="utf-8")
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    .*$", text, flags=re.MULTILINE)
    return "\n".join([*fenced, *indented, *re.findall(r"`([^`\n]+)`", text)])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_settings_that_are_named_are_there(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+)(?: [a-z-]+)*:", makefile, flags=re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)", code(document))) <= targets
    settings = {f"ECR_AUDIT_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"\bECR_AUDIT_[A-Z_]+\b", document.read_text(encoding="utf-8")))
    assert named <= settings


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """To a file, or to a heading of the same document, by the anchor that GitHub gives it."""
    text = document.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors
        elif not target.startswith(("https://", "http://")):
            assert (document.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("document", OURS, ids=lambda path: path.name)
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


# Of the organization's policy, which moto does not know.
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
