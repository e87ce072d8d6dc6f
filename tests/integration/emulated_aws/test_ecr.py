"""Repositories, their tags and their mutability, as the emulated AWS answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from demo.emulated_aws.server import EmulatedAws
from demo.emulated_aws.world import World, Write
from support.clients import ErrorOf, MakeClient

HUB, OPEN, FENCED = "1" * 12, "2" * 12, "5" * 12
ADMINISTRATOR = "OrganizationAccountAccessRole"
WILDCARD = {"filterType": "WILDCARD", "filter": "latest"}


class TestDescribeRepositories:
    def test_every_field(self, client: MakeClient) -> None:
        answer = client("ecr", account=OPEN).describe_repositories()
        api, web, cli, job, old = answer["repositories"]
        created_at = api.pop("createdAt")
        assert created_at.astimezone(UTC) == datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC)
        assert api == {
            "repositoryArn": f"arn:aws:ecr:us-east-1:{OPEN}:repository/app/api",
            "registryId": OPEN,
            "repositoryName": "app/api",
            "repositoryUri": f"{OPEN}.dkr.ecr.us-east-1.amazonaws.com/app/api",
            "imageTagMutability": "MUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfiguration": {"encryptionType": "AES256"},
        }
        assert web["imageTagMutability"] == "IMMUTABLE"
        assert cli["imageTagMutabilityExclusionFilters"] == [WILDCARD, {**WILDCARD, "filter": "dev-*"}]
        assert (job["imageTagMutability"], job["encryptionConfiguration"]["kmsKey"]) == ("FROZEN", "alias/ecr")
        assert "imageTagMutability" not in old
        assert "nextToken" not in answer

    @pytest.mark.parametrize(("asked", "pages"), [(None, [100] * 20 + [5]), (1000, [1000, 1000, 5])])
    def test_pages(self, client: MakeClient, world: World, asked: int | None, pages: list[int]) -> None:
        ecr = client("ecr", "eu-west-1", account=OPEN)
        arguments = {"maxResults": asked} if asked else {}
        answers = [ecr.describe_repositories(**arguments)]
        while token := answers[-1].get("nextToken"):
            answers.append(ecr.describe_repositories(**arguments, nextToken=token))
        assert [len(answer["repositories"]) for answer in answers] == pages
        names = [each["repositoryName"] for answer in answers for each in answer["repositories"]]
        assert names == [each.name for each in world.repositories(OPEN, "eu-west-1")]

    def test_invalid_page_sizes_and_tokens(self, client: MakeClient, error_of: ErrorOf) -> None:
        ecr = client("ecr", "eu-west-1", account=OPEN)
        assert error_of(ecr.describe_repositories, maxResults=1001)[0] == "InvalidParameterException"
        assert error_of(ecr.describe_repositories, nextToken="made up")[0] == "InvalidParameterException"

    def test_by_name(self, client: MakeClient, error_of: ErrorOf) -> None:
        ecr = client("ecr", account=OPEN)
        (found,) = ecr.describe_repositories(repositoryNames=["app/web"])["repositories"]
        assert found["repositoryName"] == "app/web"
        assert error_of(ecr.describe_repositories, repositoryNames=["app/none"])[:2] == (
            "RepositoryNotFoundException",
            f"The repository with name 'app/none' does not exist in the registry with id '{OPEN}'",
        )

    def test_china_has_its_own_host_names(self, world: World, client: MakeClient) -> None:
        world.partition = "aws-cn"
        repository = client("ecr", account=OPEN).describe_repositories()["repositories"][0]
        assert repository["repositoryArn"].startswith("arn:aws-cn:ecr:")
        assert repository["repositoryUri"].split("/")[0].endswith(".amazonaws.com.cn")


class TestClosedRegions:
    @pytest.mark.parametrize(
        ("service", "call", "answer"),
        [
            ("ecr", "describe_repositories", ("UnrecognizedClientException", 400)),
            ("resourcegroupstaggingapi", "get_resources", ("UnrecognizedClientException", 400)),
            ("ec2", "describe_regions", ("AuthFailure", 401)),
        ],
    )
    def test_a_region_that_is_not_enabled_does_not_know_the_caller(
        self, client: MakeClient, error_of: ErrorOf, service: str, call: str, answer: tuple[str, int]
    ) -> None:
        code, _, status = error_of(getattr(client(service, "me-south-1", account=FENCED), call))
        assert (code, status) == answer

    @pytest.mark.parametrize(
        ("service", "call", "code"),
        [
            ("resourcegroupstaggingapi", "get_resources", "AccessDeniedException"),
            ("ec2", "describe_regions", "UnauthorizedOperation"),
        ],
    )
    def test_a_service_control_policy_closes_a_region_to_every_service(
        self, client: MakeClient, error_of: ErrorOf, service: str, call: str, code: str
    ) -> None:
        got, message, _ = error_of(getattr(client(service, "eu-west-1", account=FENCED), call))
        assert got == code
        assert message.endswith("with an explicit deny in a service control policy")

    def test_an_enabled_opt_in_region_answers(self, client: MakeClient) -> None:
        assert client("ecr", "me-south-1", account=OPEN).describe_repositories()["repositories"] == []

    def test_a_service_control_policy_denies_in_the_words_of_iam(self, client: MakeClient, error_of: ErrorOf) -> None:
        assert error_of(client("ecr", "eu-west-1", account=FENCED).describe_repositories) == (
            "AccessDeniedException",
            f"User: arn:aws:sts::{FENCED}:assumed-role/ecr-audit/test is not authorized to perform: "
            f"ecr:DescribeRepositories on resource: arn:aws:ecr:eu-west-1:{FENCED}:repository/* "
            "with an explicit deny in a service control policy",
            400,
        )
        assert client("ecr", "us-east-1", account=FENCED).describe_repositories()["repositories"] == []

    def test_no_service_control_policy_binds_the_management_account(self, world: World, client: MakeClient) -> None:
        world.management_account_id = FENCED
        assert client("ecr", "eu-west-1", account=FENCED).describe_repositories()["repositories"] == []


class TestTags:
    def test_the_tagging_api_lists_resources_that_have_or_had_tags(self, client: MakeClient) -> None:
        tagging = client("resourcegroupstaggingapi", account=OPEN)
        listed = tagging.get_resources(ResourceTypeFilters=["ecr:repository"])["ResourceTagMappingList"]
        prefix = f"arn:aws:ecr:us-east-1:{OPEN}:repository/"
        assert listed == [
            {"ResourceARN": prefix + "app/api", "Tags": [{"Key": "owner", "Value": "team-a"}]},
            {"ResourceARN": prefix + "app/web", "Tags": []},
        ]

    def test_other_types_of_resource_are_not_there(self, client: MakeClient) -> None:
        tagging = client("resourcegroupstaggingapi", account=OPEN)
        assert tagging.get_resources(ResourceTypeFilters=["s3:bucket"])["ResourceTagMappingList"] == []

    def test_100_a_page(self, client: MakeClient, error_of: ErrorOf) -> None:
        tagging = client("resourcegroupstaggingapi", "eu-west-1", account=OPEN)
        pages = list(tagging.get_paginator("get_resources").paginate(ResourceTypeFilters=["ecr:repository"]))
        assert [len(page["ResourceTagMappingList"]) for page in pages] == [100] * 20 + [5]
        assert pages[-1]["PaginationToken"] == ""
        assert error_of(tagging.get_resources, PaginationToken="made up")[0] == "PaginationTokenExpiredException"
        assert error_of(tagging.get_resources, ResourcesPerPage=101)[0] == "InvalidParameterException"

    def test_one_repository_at_a_time(self, client: MakeClient, error_of: ErrorOf) -> None:
        ecr = client("ecr", account=OPEN)
        prefix = f"arn:aws:ecr:us-east-1:{OPEN}:repository/"
        assert ecr.list_tags_for_resource(resourceArn=prefix + "app/api")["tags"] == [
            {"Key": "owner", "Value": "team-a"}
        ]
        assert ecr.list_tags_for_resource(resourceArn=prefix + "app/old")["tags"] == []
        assert error_of(ecr.list_tags_for_resource, resourceArn=prefix + "none")[0] == "RepositoryNotFoundException"
        foreign = prefix.replace(OPEN, HUB) + "app/api"
        assert error_of(ecr.list_tags_for_resource, resourceArn=foreign)[0] == "InvalidParameterException"


class TestPutImageTagMutability:
    @pytest.mark.parametrize(
        ("mutability", "filters"),
        [
            ("IMMUTABLE", {}),
            ("MUTABLE", {}),
            ("IMMUTABLE_WITH_EXCLUSION", {"imageTagMutabilityExclusionFilters": [WILDCARD]}),
            ("MUTABLE_WITH_EXCLUSION", {"imageTagMutabilityExclusionFilters": [WILDCARD] * 5}),
        ],
    )
    def test_a_setting_that_was_put_is_described(
        self, client: MakeClient, mutability: str, filters: dict[str, Any]
    ) -> None:
        ecr = client("ecr", account=OPEN, role=ADMINISTRATOR)
        answer = ecr.put_image_tag_mutability(repositoryName="app/api", imageTagMutability=mutability, **filters)
        (described,) = ecr.describe_repositories(repositoryNames=["app/api"])["repositories"]
        for key, value in {"imageTagMutability": mutability, **filters}.items():
            assert answer[key] == described[key] == value
        assert ("imageTagMutabilityExclusionFilters" in described) == bool(filters)
        assert described["imageScanningConfiguration"] == {"scanOnPush": True}

    @pytest.mark.parametrize(
        ("mutability", "filters"),
        [
            ("IMMUTABLE_WITH_EXCLUSION", None),
            ("MUTABLE_WITH_EXCLUSION", None),
            ("IMMUTABLE", [WILDCARD]),
            ("MUTABLE", [WILDCARD]),
            ("IMMUTABLE_WITH_EXCLUSION", [WILDCARD] * 6),
            ("IMMUTABLE_WITH_EXCLUSION", [{**WILDCARD, "filter": "with space"}]),
            ("IMMUTABLE_WITH_EXCLUSION", [{**WILDCARD, "filter": "a" * 129}]),
        ],
    )
    def test_invalid_requests_are_refused(
        self, client: MakeClient, error_of: ErrorOf, mutability: str, filters: list[Any] | None
    ) -> None:
        ecr = client("ecr", account=OPEN, role=ADMINISTRATOR)
        arguments = {"imageTagMutabilityExclusionFilters": filters} if filters else {}
        call = {"repositoryName": "app/web", "imageTagMutability": mutability, **arguments}
        assert error_of(ecr.put_image_tag_mutability, **call)[0] == "InvalidParameterException"
        (described,) = ecr.describe_repositories(repositoryNames=["app/web"])["repositories"]
        assert described["imageTagMutability"] == "IMMUTABLE"

    def test_a_missing_filter_is_reported_in_the_words_of_aws(self, client: MakeClient, error_of: ErrorOf) -> None:
        ecr = client("ecr", account=OPEN, role=ADMINISTRATOR)
        call = {"repositoryName": "app/web", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}
        assert error_of(ecr.put_image_tag_mutability, **call)[1] == (
            "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: "
            "'ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as "
            "IMMUTABLE_WITH_EXCLUSION'"
        )

    def test_the_audit_role_only_reads(self, client: MakeClient, error_of: ErrorOf) -> None:
        ecr = client("ecr", account=OPEN)
        call = {"repositoryName": "app/web", "imageTagMutability": "MUTABLE"}
        code, message, _ = error_of(ecr.put_image_tag_mutability, **call)
        assert code == "AccessDeniedException"
        assert message.endswith("because no identity-based policy allows the ecr:PutImageTagMutability action")


def test_the_remediation_role_reads_and_writes_mutability_and_nothing_else(
    aws: EmulatedAws, client: MakeClient, error_of: ErrorOf
) -> None:
    aws.world.remediation_role_name = "changes"
    ecr = client("ecr", account=OPEN, role="changes")
    filters = [WILDCARD, {**WILDCARD, "filter": "*a*"}]
    request = {"repositoryName": "app/web", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}
    ecr.put_image_tag_mutability(**request, imageTagMutabilityExclusionFilters=filters)
    assert aws.world.writes == [
        Write(OPEN, "us-east-1", "app/web", request["imageTagMutability"], ("latest", "*a*"), "changes")
    ]
    too_many = [{**WILDCARD, "filter": "*a*b*"}]
    refused = error_of(ecr.put_image_tag_mutability, **request, imageTagMutabilityExclusionFilters=too_many)
    assert refused[0] == "InvalidParameterException"
    assert error_of(ecr.list_images, repositoryName="app/web")[0] == "AccessDeniedException"
    assert len(aws.world.writes) == 1


def test_an_operation_that_is_not_emulated_is_an_error(client: MakeClient, error_of: ErrorOf) -> None:
    code, message, _ = error_of(client("ecr").describe_registry)
    assert code == "UnknownOperationException"
    assert "DescribeRepositories" in message


def test_a_service_that_is_not_emulated_is_an_error(client: MakeClient, error_of: ErrorOf) -> None:
    code, message, status = error_of(client("iam").list_roles)
    assert (code, status) == ("InvalidAction", 404)
    assert message == "Service iam is not emulated; those are: sts, ec2, ecr, kms, organizations, tagging, securityhub"
