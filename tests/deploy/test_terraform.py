"""The Terraform modules: they parse, check what they are given, and make the same roles as the CloudFormation ones.

Terraform itself, and its providers, are not needed: python-hcl2 reads the modules, and the few references in their
policies are put in here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hcl2
import pytest

from ecr_audit.settings import Settings
from ecr_audit.vocabulary import Facet

from .conftest import Deploy

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
MODULES = DEPLOY / "terraform"
# The reads of the audit in an account, and the trust of the roles there: modules of ROLES use them.
SHARED, TRUST = "audit-permissions", "account-trust"
STACK_SETS = ["audit-role-stackset", "remediation-role-stackset", "security-hub-role-stackset"]
ROLES = ["audit-role", "hub-role", "reader-role", "remediation-role", "security-hub-role", *STACK_SETS]
NAMES = [SHARED, TRUST, *ROLES]

HUB_ROLE_ARN = "arn:aws:iam::111111111111:role/ecr-audit-hub"
EXTERNAL_ID = "sesame-2026"
ORGANIZATION = "o-a1b2c3d4e5"
# Whose stacks moto makes, with which the modules are compared.
ACCOUNT = "123456789012"


class Module:
    """All files of a module, read as one."""

    def __init__(self, name: str) -> None:
        self.folder = MODULES / name
        self.text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(self.folder.glob("*.tf")))
        self._blocks: dict[str, list[Any]] = {}
        for path in sorted(self.folder.glob("*.tf")):
            with path.open(encoding="utf-8") as file:
                for kind, blocks in hcl2.load(file).items():
                    if isinstance(blocks, list) and not kind.startswith("__"):
                        self._blocks.setdefault(kind, []).extend(blocks)

    def named(self, kind: str) -> dict[str, Any]:
        """The blocks of a kind with one label, such as variables, by their names."""
        return {_bare(label): body for block in self._blocks.get(kind, []) for label, body in _labelled(block)}

    @property
    def locals(self) -> dict[str, Any]:
        """The local values of all files."""
        return {name: value for block in self._blocks.get("locals", []) for name, value in _labelled(block)}

    def typed(self, kind: str, of: str) -> dict[str, Any]:
        """The blocks of a kind with two labels, such as resources, of one type, by their names."""
        return {
            _bare(name): body
            for block in self._blocks.get(kind, [])
            for label, named in _labelled(block)
            if _bare(label) == of
            for name, body in _labelled(named)
        }


def _labelled(block: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((label, body) for label, body in block.items() if not label.startswith("__"))


def _bare(text: str) -> str:
    return text.strip('"')


@pytest.fixture(params=NAMES)
def module(request: pytest.FixtureRequest) -> Module:
    return Module(request.param)


def test_modules_are_those_that_are_tested() -> None:
    assert sorted(path.name for path in MODULES.iterdir() if path.is_dir()) == sorted(NAMES)


def test_every_variable_has_a_type_a_meaning_and_a_check(module: Module) -> None:
    handed_on = set(_handed_on(module))
    for name, variable in module.named("variable").items():
        assert variable["type"], name
        assert len(variable["description"]) > 10, name
        if name in handed_on:  # the default and the check are there
            assert _bare(str(variable.get("default"))) in ("None", "null"), name
            continue
        if _bare(variable["type"]) in ("bool", "${bool}"):  # Terraform takes nothing else
            continue
        [validation] = variable["validation"]
        assert f"var.{name}" in str(validation["condition"]), name
        assert validation["error_message"], name


def _handed_on(module: Module) -> Iterator[str]:
    """The variables that a module gives to those that it uses, under the same names."""
    for used in module.named("module").values():
        for name, value in _labelled(used):
            if name != "source":
                assert value == f"${{var.{name}}}"
                yield name


READ_AN_ACCOUNT = ["audit-role", "audit-role-stackset", "hub-role"]
IN_THE_ACCOUNTS = ["audit-role", "remediation-role", "security-hub-role"]


@pytest.mark.parametrize(
    ("name", "used"),
    [*((name, SHARED) for name in READ_AN_ACCOUNT), *((name, TRUST) for name in IN_THE_ACCOUNTS)],
)
def test_shared_parts_of_roles_are_in_one_module(name: str, used: str) -> None:
    module, shared = Module(name), Module(used)
    use = module.named("module")[used.replace("-", "_")]
    assert _bare(use["source"]) == f"../{used}"
    assert {each for each, _ in _labelled(use)} == {"source", *shared.named("variable")}
    # Null, which is handed on where nothing is given, stands for the default.
    assert all(each["nullable"] is False for each in shared.named("variable").values() if "default" in each)


def test_every_variable_is_used_and_every_used_one_is_there(module: Module) -> None:
    body = re.sub(r'variable "\w+" \{.*?\n\}', "", module.text, flags=re.DOTALL)
    assert set(re.findall(r"\bvar\.(\w+)", body)) == set(module.named("variable"))


def test_outputs_have_descriptions(module: Module) -> None:
    outputs = module.named("output")
    assert outputs
    assert all(output["description"] and output["value"] for output in outputs.values())


def test_patterns_are_those_of_the_templates() -> None:
    """Both ways of deploying take the same values; but Terraform's patterns hold the length as well."""
    templates = [
        (DEPLOY / "cloudformation" / f"{name}-role.yaml").read_text(encoding="utf-8")
        for name in ("audit", "hub", "reader", "remediation")
    ]
    theirs = {_without_length(each) for text in templates for each in re.findall(r"AllowedPattern: (\S+)", text)}
    ours = {
        _without_length(each)
        for name in NAMES
        for variable, each in _patterns(Module(name))
        if variable not in ("region", "organizational_unit_ids")  # the StackSet has it, and is not a template
    }
    assert ours == theirs


def _patterns(module: Module) -> list[tuple[str, str]]:
    """The variables that are checked by a pattern, and the pattern."""
    checks = [
        (name, str(variable["validation"][0]["condition"]))
        for name, variable in module.named("variable").items()
        if "validation" in variable
    ]
    return [(name, pattern[1]) for name, check in checks if (pattern := re.search(r'regex\("([^"]+)"', check))]


def _without_length(pattern: str) -> str:
    return re.sub(r"(\+|\{[0-9,]+\})\$$", "$", pattern)


POLICIES = {
    "audit-role": [],
    "hub-role": [
        "audit",
        "pods",
        "remediation",
        "security_hub",
        "lake",
        "lake_key",
        "trail",
        "trail_key",
        "evidence",
        "evidence_key",
        "alerts",
    ],
    "remediation-role": ["tag_mutability"],
    "security-hub-role": ["import_findings"],
    "reader-role": ["read", "logs", "lake_key", "alerts"],
}
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TOPIC = f"arn:aws:sns:eu-west-1:{ACCOUNT}:audit"
GIVEN = {
    "audit-role": {"HubRoleArn": HUB_ROLE_ARN, "ExternalId": EXTERNAL_ID, "OrganizationId": ORGANIZATION},
    "remediation-role": {"HubRoleArn": HUB_ROLE_ARN, "ExternalId": EXTERNAL_ID, "OrganizationId": ORGANIZATION},
    "security-hub-role": {"HubRoleArn": HUB_ROLE_ARN, "ExternalId": EXTERNAL_ID, "OrganizationId": ORGANIZATION},
    "reader-role": {
        "TrustedService": "ecs-tasks.amazonaws.com",
        "LakeBucket": "the-lake",
        "LogsPrefix": "logs",
        "LakeKeyArn": KEY,
        "AlertTopicArn": TOPIC,
    },
    "hub-role": {
        # With which the role has most policies.
        "TrustedService": "pods.eks.amazonaws.com",
        "RemediationRoleName": "ecr-audit-remediation",
        "SecurityHubRoleName": "ecr-audit-security-hub",
        "LakeBucket": "the-lake",
        "LakeKeyArn": KEY,
        "TrailBucket": "the-trail",
        "TrailPrefix": "audit",
        "TrailKeyArn": KEY,
        "EvidenceBucket": "the-evidence",
        "EvidencePrefix": "ecr",
        "EvidenceKeyArn": KEY,
        "AlertTopicArn": TOPIC,
    },
}


@pytest.mark.parametrize("name", POLICIES)
def test_policies_are_those_of_the_template(name: str, deploy: Deploy) -> None:
    module, shared = Module(name), Module(SHARED)
    documents = module.typed("data", "aws_iam_policy_document")
    ours = [_statement(each) for policy in POLICIES[name] for each in documents[policy]["statement"]]
    reads = {}
    uses_shared = "audit_permissions" in module.named("module")
    if uses_shared:
        [document] = shared.typed("data", "aws_iam_policy_document").values()
        optional = [*(each for _, each in _labelled(shared.locals["facets"])), _image_tags(document)]
        ours += [_statement(each) for each in document["statement"]]
        ours += [_statement({**each, "effect": "Allow"}) for each in optional]
        reads = {_bare(each["sid"]): "true" for each in optional}
    theirs = [_normal(each) for each in deploy(name, **GIVEN[name], **reads).statements]
    assert sorted(ours, key=str) == sorted(theirs, key=str)
    # And each of them is attached: the shared ones as a policy, or as the source of one.
    attached = {_bare(str(each["policy"])) for each in module.typed("resource", "aws_iam_role_policy").values()}
    sources = {source for each in documents.values() for source in each.get("source_policy_documents", [])}
    assert attached | sources == {
        *(f"${{data.aws_iam_policy_document.{policy}.json}}" for policy in POLICIES[name]),
        *(["${module.audit_permissions.policy}"] if uses_shared else []),
    }


def _image_tags(document: Mapping[str, Any]) -> dict[str, Any]:
    """The content of the statement that is there when images may be listed."""
    [content] = [
        statement["content"][0]
        for dynamic in document["dynamic"]
        if (statement := dynamic['"statement"'])["for_each"] == "${var.read_image_tags ? [1] : []}"
    ]
    return dict(content)


def test_images_are_not_listed_by_default() -> None:
    assert Module(SHARED).named("variable")["read_image_tags"]["default"] is False


def test_a_role_has_the_statements_of_the_facets_that_it_is_given() -> None:
    """The expression is Terraform's to evaluate; its parts are looked at here."""
    module = Module(SHARED)
    assert {facet: _bare(each["sid"]) for facet, each in _labelled(module.locals["facets"])} == {
        each.value: f"Read{each.capitalize()}" for each in Facet
    }
    [document] = module.typed("data", "aws_iam_policy_document").values()
    dynamic, _ = document["dynamic"]
    statement = dynamic['"statement"']
    assert statement["for_each"] == (
        "${[for facet, statement in local.facets : statement if contains(var.facets, facet)]}"
    )
    [content] = statement["content"]
    assert {name: _bare(str(value)) for name, value in _labelled(content)} == {
        **{part: f"${{statement.value.{part}}}" for part in ("sid", "actions", "resources")},
        "effect": "Allow",
    }
    assert module.named("output")["policy"]["value"] == "${data.aws_iam_policy_document.list_repositories.json}"


def test_facets_are_by_default_those_that_are_collected_by_default() -> None:
    variable = Module(SHARED).named("variable")["facets"]
    assert [_bare(each) for each in variable["default"]] == list(Settings.model_fields["collect"].default)
    assert re.findall(r'"(\w+)"', str(variable["validation"][0]["condition"])) == list(Facet)
    assert _bare(variable["validation"][0]["error_message"]) == f"Give a list out of {', '.join(Facet)}."


@pytest.mark.parametrize("name", IN_THE_ACCOUNTS)
def test_a_role_in_the_accounts_trusts_as_the_template_has_it(name: str, deploy: Deploy) -> None:
    statements = Module(TRUST).typed("data", "aws_iam_policy_document")["trust"]["statement"]
    trusts = deploy(name, **GIVEN[name]).trusts
    for ours, theirs in zip(statements, trusts, strict=True):
        [principal] = ours["principals"]
        assert {_bare(principal["type"]): _text(principal["identifiers"][0])} == theirs["Principal"]
        # A condition that is there when it is asked for.
        asked_for = [
            (_bare(content["test"]), _bare(content["variable"]), ORGANIZATION)
            for each in ours.get("dynamic", [])
            for content in each['"condition"']["content"]
        ]
        *same, conditions = _statement(ours)[2:]
        assert (*same, [*conditions, *asked_for]) == _normal(theirs)[2:]
    [role] = Module(name).typed("resource", "aws_iam_role").values()
    assert (role["name"], role["path"]) == ("${var.role_name}", "${var.role_path}")
    assert role["assume_role_policy"] == "${module.account_trust.policy}"
    assert Module(TRUST).named("output")["policy"]["value"] == "${data.aws_iam_policy_document.trust.json}"


@pytest.mark.parametrize(
    ("name", "account"), [("hub-role", "var.pod_service_account"), ("reader-role", "var.role_name")]
)
def test_a_role_trusts_as_the_template_has_it(name: str, account: str) -> None:
    """Its expressions are Terraform's to evaluate; what they choose from is looked at here."""
    document = Module(name).typed("data", "aws_iam_policy_document")["trust"]["statement"][0]
    assert 'var.trusted_service == "" ? "AWS" : "Service"' in document["principals"][0]["type"]
    condition = document["dynamic"][0]['"condition"']
    of_tasks, of_pods = re.findall(r"\? (\{[^}]*\})", condition["for_each"])
    assert re.findall(r'"([\w:/-]+)"\s*[=:]\s*([\w.]+)', of_tasks) == [("aws:SourceAccount", "local.account_id")]
    assert re.findall(r'"([\w:/-]+)"\s*[=:]\s*([\w.]+)', of_pods) == [
        ("aws:RequestTag/kubernetes-namespace", "var.pod_namespace"),
        ("aws:RequestTag/kubernetes-service-account", account),
    ]
    assert "local.trusts_tasks ?" in condition["for_each"] and "local.trusts_pods ?" in condition["for_each"]
    [content] = condition["content"]
    assert (_bare(content["test"]), content["variable"]) == ("StringEquals", "${condition.key}")


@pytest.mark.parametrize("name", STACK_SETS)
def test_the_stack_set_is_of_the_template_and_deploys_itself(name: str) -> None:
    module = Module(name)
    [stack_set] = module.typed("resource", "aws_cloudformation_stack_set").values()
    assert _bare(stack_set["permission_model"]) == "SERVICE_MANAGED"
    [deployment] = stack_set["auto_deployment"]
    assert (deployment["enabled"], deployment["retain_stacks_on_account_removal"]) == (True, False)
    [path] = re.findall(r'file\("\$\{path\.module\}/([^"]+)"\)', str(stack_set["template_body"]).replace("\\", ""))
    template = (module.folder / path).resolve()
    given = set(re.findall(r"^  (\w+):\n    Type: String", template.read_text(encoding="utf-8"), flags=re.MULTILINE))
    parameters = stack_set["parameters"]
    if name == "audit-role-stackset":
        [own] = re.findall(r"merge\(module\.audit_permissions\.parameters, \{(.*)\}\)", str(parameters), re.DOTALL)
        reads = {f"Read{each.capitalize()}": f'${{contains(var.facets, "{each}")}}' for each in Facet}
        shared = Module(SHARED).named("output")["parameters"]["value"]
        assert dict(_labelled(shared)) == reads | {"ReadImageTags": "${var.read_image_tags}"}
        assert {*re.findall(r"(\w+) *[=:] *var\.\w+", own), *shared} == given
    else:
        assert set(parameters) == given
    [instances] = module.typed("resource", "aws_cloudformation_stack_instances").values()
    assert instances["deployment_targets"][0]["organizational_unit_ids"] == "${var.organizational_unit_ids}"


# The values of the references of the policies in the account that moto deploys to.
REFERENCES = {
    "data.aws_partition.current.partition": "aws",
    "local.partition": "aws",
    "data.aws_caller_identity.current.account_id": ACCOUNT,
    "local.account_id": ACCOUNT,
    "local.repositories": f"arn:aws:ecr:*:{ACCOUNT}:repository/*",
    "var.audit_role_name": "ecr-audit",
    "var.audit_role_path": "/",
    "var.remediation_role_name": "ecr-audit-remediation",
    "var.remediation_role_path": "/",
    "var.security_hub_role_name": "ecr-audit-security-hub",
    "var.security_hub_role_path": "/",
    "var.lake_bucket": "the-lake",
    "var.lake_prefix": "lake",
    "var.publish_prefix": "publish",
    "var.logs_prefix": "logs",
    "var.waivers_prefix": "waivers",
    "var.lake_key_arn": KEY,
    "var.trail_bucket": "the-trail",
    "local.trail": "the-trail/audit",
    "var.trail_key_arn": KEY,
    "var.evidence_bucket": "the-evidence",
    "local.evidence": "the-evidence/ecr",
    "var.evidence_key_arn": KEY,
    "var.alert_topic_arn": TOPIC,
    "var.hub_role_arn": HUB_ROLE_ARN,
    "var.external_id": EXTERNAL_ID,
}

Statement = tuple[str, str, list[str], list[str], list[tuple[str, str, str]]]


def _text(value: str) -> str:
    """A string of HCL with its references put in; `$${` is an escaped `${`."""
    put_in = re.sub(r"(?<!\$)\$\{([\w.]+)\}", lambda reference: REFERENCES[reference[1]], _bare(value))
    return put_in.replace("$${", "${")


def _statement(block: Mapping[str, Any]) -> Statement:
    conditions = [
        (_bare(each["test"]), _bare(each["variable"]), _text(value))
        for each in block.get("condition", [])
        for value in each["values"]
    ]
    return (
        _bare(block.get("sid", "")),
        _bare(block["effect"]),
        sorted(map(_text, block["actions"])),
        sorted(map(_text, block.get("resources", []))),
        conditions,
    )


def _normal(statement: Mapping[str, Any]) -> Statement:
    """A statement of IAM's JSON in the same form."""
    conditions = [
        (test, variable, value)
        for test, operands in statement.get("Condition", {}).items()
        for variable, value in operands.items()
    ]
    return (
        statement.get("Sid", ""),
        statement["Effect"],
        sorted(_as_list(statement["Action"])),
        sorted(_as_list(statement.get("Resource", []))),
        conditions,
    )


def _as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
