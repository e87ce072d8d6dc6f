"""The texts of the creation template that makes new repositories immutable, by what AWS accepts."""

from __future__ import annotations

import shlex

import yaml
from botocore.model import ListShape, StringShape, StructureShape
from botocore.session import get_session
from botocore.validate import validate_parameters

from ecr_audit.web.creation_template import APPLIED_FOR, ROOT, root_template


def test_the_command_is_a_request_that_aws_accepts() -> None:
    model = get_session().get_service_model("ecr")
    for templates, operation in (
        (None, "Create"),
        ([{"prefix": "team"}], "Create"),
        ([{"prefix": "team"}, {"prefix": ROOT}], "Update"),
    ):
        command = shlex.split(root_template(templates, "eu-west-1")["AWS CLI"])
        assert command[2] == f"{operation.lower()}-repository-creation-template"
        shape = model.operation_model(f"{operation}RepositoryCreationTemplate").input_shape
        given = {"prefix": ROOT, "appliedFor": command[8:11], "imageTagMutability": command[12]}
        assert isinstance(shape, StructureShape)
        validate_parameters(given, shape)
        assert command[3:8] == ["--region", "eu-west-1", "--prefix", ROOT, "--applied-for"]
        applied_for, mutability = shape.members["appliedFor"], shape.members["imageTagMutability"]
        assert isinstance(applied_for, ListShape)
        assert isinstance(applied_for.member, StringShape)
        assert isinstance(mutability, StringShape)
        assert sorted(command[8:11]) == sorted(applied_for.member.enum)
        assert command[12] in mutability.enum


def test_the_code_has_the_same_values() -> None:
    texts = root_template([], "eu-west-1")
    [resource] = yaml.safe_load(texts["CloudFormation"]).values()
    assert resource["Type"] == "AWS::ECR::RepositoryCreationTemplate"
    expected = {"Prefix": ROOT, "AppliedFor": list(APPLIED_FOR), "ImageTagMutability": "IMMUTABLE"}
    assert resource["Properties"] == expected
    for line in ('prefix               = "ROOT"', 'image_tag_mutability = "IMMUTABLE"', *APPLIED_FOR):
        assert line in texts["Terraform"]
