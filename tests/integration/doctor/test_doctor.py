"""The doctor, with one fault injected at a time: it names that fault, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from aiohttp import InvalidURL

from demo.emulated_aws.faults import Fault, Refuse, Reset, Throttle
from demo.emulated_aws.world import Repository, nothing, stored
from demo.repository_settings import key_manager, key_of
from ecr_audit.aws.ecr.facets import FACET, FACETS
from ecr_audit.aws.session import connect_hub
from ecr_audit.catalog import Catalog
from ecr_audit.doctor import Result, Status, examine
from ecr_audit.doctor.clock import is_clock_skew
from ecr_audit.vocabulary import Facet

from .conftest import AwsWithAClock, Examine, Inject

DENIED = Refuse("AccessDeniedException", "You don't have permissions to access this resource.")
HUB = "100000000000"
MEMBERS = ("100000000001", "100000000002", "100000000003")


def only(found: list[Result]) -> Result:
    """The one finding, which has advice."""
    [result] = found
    assert result.fix
    return result


def close(aws: AwsWithAClock, *account_ids: str) -> None:
    """The audit role is in these accounts no more."""
    shut = {each: replace(aws.world.accounts[each], assumable=False) for each in account_ids}
    aws.world = replace(aws.world, accounts={**aws.world.accounts, **shut})


def test_a_healthy_set_up_has_nothing_to_fix_and_keeps_no_trace(aws: AwsWithAClock, tmp_path: Path) -> None:
    results = list(examine(connect_hub, lambda: None))
    assert [result.title for result in results] == [
        *("Settings", "Clock", "Credentials", "Organization", "Regions"),
        *("Role in the accounts", "Repositories", "Tags", "Scanning", "Registries", "Registries", "Enabled regions"),
        *("Lake", "Published files"),
    ]
    assert {result.status for result in results} == {Status.OK}
    assert "user/ecr-audit-hub, partition aws" in results[2].found
    assert "assumed in all 3 accounts" in results[5].found
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []
    assert aws.counters.operations["sts:AssumeRole"] == 3


def test_wrong_settings_are_all_reported_and_nothing_is_called(
    aws: AwsWithAClock, findings: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECR_AUDIT_CONCURRENCY", "none")
    monkeypatch.setenv("ECR_AUDIT_REGION", "us-east-1")
    result = only(findings())
    assert result.title == "Settings"
    assert "ECR_AUDIT_CONCURRENCY: 'none'" in result.found
    assert "Did you mean ECR_AUDIT_REGIONS?" in result.found
    assert not aws.counters.operations


def test_invalid_places_are_named_before_anything_is_written(
    aws: AwsWithAClock, findings: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECR_AUDIT_LAKE", '"s3://audit-lake/ecr"')
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", "arn:aws:s3:::audit-lake/publish")
    result = only(findings())
    assert result.title == "Settings"
    assert "ECR_AUDIT_LAKE: '\"s3://audit-lake/ecr\"': is in quotation marks" in result.found
    assert "did you mean s3://audit-lake/publish?" in result.found
    assert list(tmp_path.iterdir()) == []


def test_a_relative_place_is_reported_as_the_absolute_one_that_it_means(
    aws: AwsWithAClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ECR_AUDIT_LAKE", " audit/lake")
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", "~/publish")
    found = {result.title: result.found for result in examine(connect_hub, lambda: None)}
    assert found["Lake"].startswith(f"{tmp_path}/audit/lake: written")
    assert found["Published files"].startswith(f"{tmp_path}/home/publish: written")


def test_a_role_with_a_path(aws: AwsWithAClock, findings: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.world = replace(aws.world, role_name="security/audit/ecr-audit")
    assert "(a role with a path needs it: /security/ecr-audit)" in only(findings()).fix
    monkeypatch.setenv("ECR_AUDIT_ROLE_NAME", "/security/audit/ecr-audit")
    assert findings() == []


def test_missing_credentials(aws: AwsWithAClock, findings: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    result = only(findings())
    assert (result.title, result.status) == ("Credentials", Status.FAIL)
    assert "No AWS credentials" in result.found


@pytest.mark.parametrize(("minutes", "reported"), [(10, "behind AWS"), (-10, "ahead of AWS")])
def test_clock_skew(aws: AwsWithAClock, findings: Examine, minutes: int, reported: str) -> None:
    aws.ahead = timedelta(minutes=minutes)
    clock, credentials = findings()
    assert clock.title == "Clock"
    # The Date header has whole seconds.
    assert re.match(rf"clock skew: this machine is (9 min 5\d s|10 min \d s) {reported}", clock.found)
    assert "NTP" in clock.fix
    # Failures due to it are reported as consequences.
    assert credentials.title == "Credentials"
    assert "Signature" in credentials.found
    assert "cause is the clock" in credentials.fix


def test_a_clock_that_is_off_by_less_is_reported_but_is_not_a_fault(aws: AwsWithAClock, findings: Examine) -> None:
    aws.ahead = timedelta(minutes=3)
    clock = next(result for result in examine(connect_hub, lambda: None) if result.title == "Clock")
    assert clock.status is Status.OK
    assert "behind AWS" in clock.found
    assert findings() == []


@pytest.mark.parametrize(
    "answer",
    [
        "AWS Error UNKNOWN (HTTP status 403) during PutObject operation: Unable to parse ExceptionName: "
        "RequestTimeTooSkewed Message: The difference between the request time and the current time is too large.",
        "InvalidSignatureException: Signature expired: 20261123T100000Z is now earlier than 20261123T100500Z",
        "SignatureDoesNotMatch: Signature not yet current: 20261123T110000Z is still later than 20261123T100500Z",
    ],
)
def test_every_service_has_its_words_for_skew(answer: str) -> None:
    assert is_clock_skew(answer)


def test_a_wrong_key_is_not_taken_for_skew(aws: AwsWithAClock, findings: Examine, inject: Inject) -> None:
    message = "The request signature we calculated does not match the signature you provided."
    inject(Fault(Refuse("SignatureDoesNotMatch", message, 403), service="sts"))
    result = only(findings())
    assert result.title == "Credentials"
    assert "clock" not in result.fix


@pytest.mark.parametrize("operation", ["DescribeOrganization", "ListAccounts", "ListRoots"])
def test_no_access_to_organizations(findings: Examine, inject: Inject, operation: str) -> None:
    inject(Fault(DENIED, service="organizations", operation=operation))
    result = only(findings())
    assert (result.title, result.status) == ("Organization", Status.FAIL)
    assert f"organizations:{operation} is denied" in result.found
    assert "hub-role.yaml" in result.fix


@pytest.mark.parametrize(
    ("setting", "value", "title", "status", "reported"),
    [
        # As a night goes on without them, and fails when nothing is left.
        ("ACCOUNTS", "100000000001,999999999999", "Organization", Status.WARN, "does not have: 999999999999"),
        ("ACCOUNTS", "999999999999", "Organization", Status.FAIL, "'999999999999' is not an account"),
        ("REGIONS", "us-east-1,eu-west-11", "Regions", Status.WARN, "does not have: eu-west-11"),
        ("REGIONS", "eu-west-11", "Regions", Status.FAIL, "'eu-west-11' is not a region"),
    ],
)
def test_a_setting_that_names_something_missing(
    findings: Examine,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    value: str,
    title: str,
    status: Status,
    reported: str,
) -> None:
    monkeypatch.setenv(f"ECR_AUDIT_{setting}", value)
    result = only(findings())
    assert (result.title, result.status) == (title, status)
    assert reported in result.found and f"ECR_AUDIT_{setting}" in result.found
    if setting == "REGIONS":
        assert "Nearest: eu-west-1." in result.found + "".join(result.cases)


def test_nothing_but_inactive_accounts(aws: AwsWithAClock, findings: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    suspended = {MEMBERS[0]: replace(aws.world.accounts[MEMBERS[0]], state="SUSPENDED")}
    aws.world = replace(aws.world, accounts={**aws.world.accounts, **suspended})
    monkeypatch.setenv("ECR_AUDIT_ACCOUNTS", MEMBERS[0])
    result = only(findings())
    assert (result.title, result.status) == ("Organization", Status.WARN)
    assert "no active account to audit" in result.found


@pytest.mark.parametrize(("min_coverage", "status"), [("0.95", Status.FAIL), ("0.66", Status.WARN)])
def test_the_role_missing_in_one_account(
    aws: AwsWithAClock, findings: Examine, monkeypatch: pytest.MonkeyPatch, min_coverage: str, status: Status
) -> None:
    """As bad as the nightly run takes it: of 9 account-regions that count, 6 are seen."""
    monkeypatch.setenv("ECR_AUDIT_MIN_COVERAGE", min_coverage)
    close(aws, MEMBERS[1])
    result = only(findings())
    assert (result.title, result.status) == ("Role in the accounts", status)
    assert "assumed in 2 of 3 accounts" in result.found
    [case] = result.cases
    assert case.startswith("100000000002 member-2: AccessDenied: ")
    assert "create the role there" in result.fix


def test_a_wrong_external_id(findings: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_EXTERNAL_ID", "open-up")
    result = only(findings())
    assert (result.title, result.status) == ("Role in the accounts", Status.FAIL)
    assert "refused in all 3 accounts" in result.found
    assert "ECR_AUDIT_EXTERNAL_ID is not the external id that the role requires" in result.fix
    # An external id is the organization's own business.
    assert "open-up" not in result.fix + result.found + "".join(result.cases)


def test_a_missing_external_id(findings: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ECR_AUDIT_EXTERNAL_ID")
    assert "ECR_AUDIT_EXTERNAL_ID is not set and the role requires an external id" in only(findings()).fix


def test_a_role_that_is_nowhere(findings: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_ROLE_NAME", "ecr-auditor")
    result = only(findings())
    assert "refused in all 3 accounts" in result.found
    assert "ECR_AUDIT_ROLE_NAME (ecr-auditor) names a role that does not exist" in result.fix


def test_a_hub_that_may_not_assume_roles(findings: Examine, inject: Inject) -> None:
    """The one case in which AWS says why."""
    message = "is not authorized to perform: sts:AssumeRole because no identity-based policy allows the action"
    inject(Fault(Refuse("AccessDenied", message, 403), operation="AssumeRole"))
    result = only(findings())
    assert "the hub itself may not" in result.found
    assert "sts:AssumeRole on arn:aws:iam::*:role/ecr-audit to the hub" in result.fix


def test_throttling_is_not_taken_for_a_refusal(
    findings: Examine, inject: Inject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecr_audit.doctor.probe.PROBE_SECONDS", 0.1)
    inject(Fault(Throttle(), operation="AssumeRole"))
    result = only(findings())
    assert "ECR_AUDIT_TARGET_SECONDS" in result.fix
    assert "ECR_AUDIT_ROLE_NAME" not in result.fix
    assert "Throttling" in result.cases[0]


def refused(code: str, message: str = "no", **where: Any) -> Fault:
    return Fault(Refuse(code, message, 403), **where)


@pytest.mark.parametrize(
    ("fault", "title", "reported"),
    [
        # In a region that is not the hub's, or in one account only: a night would meet it.
        (refused("AccessDeniedException", service="ecr", region="eu-west-1"), "Repositories", "ecr:DescribeRep"),
        (
            refused("AccessDeniedException", "explicit deny in a service control policy", service="ecr", account=HUB),
            "Repositories",
            "Exempt the audit role in the SCP",
        ),
        (
            refused("UnrecognizedClientException", service="ecr", region="me-south-1"),
            "Repositories",
            "allow ec2:DescribeRegions",
        ),
        (refused("RegionDisabledException", operation="AssumeRole"), "Role in the accounts", "whose STS is active"),
        (refused("ExpiredTokenException", operation="AssumeRole"), "Role in the accounts", "Renew them"),
        (refused("InvalidClientTokenId", operation="AssumeRole"), "Role in the accounts", "an opt-in region that a"),
        (Fault(Reset(), service="ecr", account=MEMBERS[0]), "Repositories", "the network between the audit and AWS"),
    ],
)
def test_the_advice_follows_the_errors(
    aws: AwsWithAClock,
    findings: Examine,
    inject: Inject,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    title: str,
    reported: str,
) -> None:
    monkeypatch.setattr("ecr_audit.aws.dispatcher.LONGEST_WAIT_SECONDS", 0.01)
    enabled = frozenset({"me-south-1"})
    accounts = {each.id: replace(each, enabled_opt_in_regions=enabled) for each in aws.world.accounts.values()}
    aws.world = replace(aws.world, accounts=accounts)
    assert findings() == []
    inject(fault)
    result = only(findings())
    assert (result.title, result.status) == (title, Status.FAIL)
    assert reported in result.fix


def test_the_doctor_goes_the_ways_of_a_scan(findings: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 repairs a proxy without a scheme, and the scan's own connections would not: the doctor uses those."""
    calls: list[str] = []

    async def call(self: object, credentials: object, service: str, *_: object) -> None:
        calls.append(service)
        raise InvalidURL("proxy.corp:3128")

    monkeypatch.setattr("ecr_audit.aws.connections.Connections.call", call)
    found = {result.title: result for result in findings()}
    assert list(found) == ["Role in the accounts", "Repositories", "Enabled regions"]
    assert set(calls) == {"sts", "ecr", "ec2"}
    assert all("with their scheme" in result.fix for result in found.values())
    assert not any("ECR_AUDIT_ROLE_NAME" in result.fix for result in found.values())


FACET_CALLS = {
    permission.action.partition(":")[2]: (declaration.facet.capitalize(), permission.action, Status.WARN)
    for declaration in FACETS
    for permission in declaration.permissions
}
CALLS = {
    "DescribeRepositories": ("Repositories", "ecr:DescribeRepositories", Status.FAIL),
    "DescribeRegions": ("Enabled regions", "ec2:DescribeRegions", Status.WARN),
    **FACET_CALLS,
}


@pytest.fixture
def all_facets(aws: AwsWithAClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """All facets are collected, and each account has a repository that a key of its own encrypts."""
    monkeypatch.setenv("ECR_AUDIT_COLLECT", "all")
    repositories = {
        (account, "us-east-1"): [
            Repository("app", encryption_type="KMS", kms_key=key_of((account, "us-east-1"), "CUSTOMER"))
        ]
        for account in aws.world.accounts
    }
    aws.world = replace(aws.world, repository_source=stored(repositories), key_source=key_manager)


@pytest.mark.usefixtures("all_facets")
def test_all_facets_of_a_healthy_set_up_are_tried(aws: AwsWithAClock) -> None:
    results = list(examine(connect_hub, lambda: None))
    assert {result.status for result in results} == {Status.OK}
    tried = {result.found.split()[0] for result in results if "answered in all 4 accounts" in result.found}
    assert tried >= {action for _, action, _ in FACET_CALLS.values()}


@pytest.mark.usefixtures("all_facets")
@pytest.mark.parametrize("operation", CALLS)
def test_a_permission_missing_in_one_account(findings: Examine, inject: Inject, operation: str) -> None:
    title, action, status = CALLS[operation]
    inject(Fault(Refuse("AccessDeniedException", "no", 403), operation=operation, account=MEMBERS[2]))
    result = only(findings())
    assert (result.title, result.status) == (title, status)
    where = "2 of 8 account-regions" if operation == "DescribeRepositories" else "1 of 4 accounts"
    assert f"{action} fails in {where}" in result.found
    assert [case.split()[0] for case in result.cases] == [MEMBERS[2]]


@pytest.mark.usefixtures("all_facets")
@pytest.mark.parametrize("facet", Facet)
def test_a_permission_that_a_role_lacks_is_named_with_the_policies_that_cannot_be_judged(
    aws: AwsWithAClock, findings: Examine, catalog: Catalog, facet: Facet
) -> None:
    """In all accounts: a role of an earlier version."""
    denied = frozenset(each.action for each in FACET[facet].permissions)
    accounts = {each.id: replace(each, denied_actions=denied) for each in aws.world.accounts.values()}
    aws.world = replace(aws.world, accounts=accounts)
    found = findings()
    assert {result.found.split()[0] for result in found} == denied
    for result in found:
        assert f"Read{facet.capitalize()}=true" in result.fix and FACET[facet].without in result.fix
        named = {policy.folder for policy in catalog.policies if f"'{policy.contextual_name}'" in result.fix}
        assert named == {policy.folder for policy in catalog.policies if facet in policy.facets}


def test_a_facet_that_could_not_be_tried_is_not_reported_as_allowed(
    aws: AwsWithAClock, inject: Inject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repositories are not encrypted by KMS; then there are no repositories."""
    monkeypatch.setenv("ECR_AUDIT_COLLECT", "keys,lifecycle")
    results = {result.title: result for result in examine(connect_hub, lambda: None)}
    assert (results["Keys"].status, results["Lifecycle"].status) == (Status.SKIPPED, Status.OK)
    aws.world = replace(aws.world, repository_source=nothing)
    results = {result.title: result for result in examine(connect_hub, lambda: None)}
    assert (results["Keys"].status, results["Lifecycle"].status) == (Status.SKIPPED, Status.SKIPPED)


def test_images_are_listed_once_an_account_where_image_tags_are_read(
    aws: AwsWithAClock, inject: Inject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def result() -> Result:
        return next(each for each in examine(connect_hub, lambda: None) if each.title == "Image tags")

    assert list(examine(connect_hub, lambda: None))
    assert aws.counters.operations["ecr:ListImages"] == 0
    monkeypatch.setenv("ECR_AUDIT_IMAGE_TAGS", "overwritable")
    assert "ecr:ListImages answered in all 4 accounts" in result().found
    assert aws.counters.operations["ecr:ListImages"] == 4
    inject(Fault(DENIED, operation="ListImages", account=MEMBERS[0]))
    denied = result()
    assert (denied.status, len(denied.cases)) == (Status.WARN, 1)
    assert "ReadImageTags=true (Terraform: read_image_tags)" in denied.fix
    aws.world = replace(aws.world, repository_source=nothing)
    assert result().status is Status.SKIPPED


def test_without_facets_to_collect_no_permission_to_read_them_is_needed(
    findings: Examine, inject: Inject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECR_AUDIT_COLLECT", "none")
    inject(*(Fault(DENIED, operation=operation) for operation in FACET_CALLS))
    assert findings() == []


def test_regions_that_no_account_has_enabled_would_leave_nothing_to_read(
    aws: AwsWithAClock, findings: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECR_AUDIT_REGIONS", "me-south-1")
    result = only(findings())
    assert (result.title, result.status) == ("Repositories", Status.FAIL)
    assert "none of 4 accounts has enabled" in result.found and "ECR_AUDIT_REGIONS" in result.fix
    one = {MEMBERS[0]: replace(aws.world.accounts[MEMBERS[0]], enabled_opt_in_regions=frozenset({"me-south-1"}))}
    aws.world = replace(aws.world, accounts={**aws.world.accounts, **one})
    assert findings() == []


def test_a_hub_that_may_not_ask_which_regions_there_are(
    findings: Examine, inject: Inject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer regions than botocore knows would not be audited, in silence."""
    monkeypatch.setenv("ECR_AUDIT_REGIONS", "us-east-1,eu-west-1")
    inject(refused("UnauthorizedOperation", service="ec2"))
    result = only(findings())
    assert (result.title, result.status) == ("Regions", Status.WARN)
    assert "from botocore's list" in result.found and "hub-role.yaml" in result.fix


@pytest.mark.parametrize(
    ("date", "reported"),
    [
        ("yesterday", "no readable date"),
        ("", "no readable date"),
        ("Mon, 23 Nov 20266 10:00:00 GMT", "no readable date"),
    ],
)
def test_a_date_that_cannot_be_read_ends_no_examination(aws: AwsWithAClock, date: str, reported: str) -> None:
    """As a proxy on the way may write it."""
    aws.date = date
    results = {result.title: result for result in examine(connect_hub, lambda: None)}
    assert results["Clock"].status is Status.SKIPPED
    assert reported in results["Clock"].found
    assert results["Lake"].status is Status.OK


def test_a_date_without_a_zone_is_utc(aws: AwsWithAClock) -> None:
    aws.date = f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} -0000"
    results = {result.title: result for result in examine(connect_hub, lambda: None)}
    assert results["Clock"].status is Status.OK


def test_a_check_that_fails_itself_ends_no_examination(aws: AwsWithAClock, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("nobody has thought of this")

    monkeypatch.setattr("ecr_audit.doctor.examination.check_regions", broken)
    monkeypatch.setattr("ecr_audit.doctor.examination.check_lake", broken)
    results = {result.title: result for result in examine(connect_hub, lambda: None)}
    for title in ("Regions", "Lake"):
        assert results[title].status is Status.FAIL
        assert "nobody has thought of this" in results[title].found
    assert results["Role in the accounts"].status is Status.SKIPPED
    assert results["Published files"].status is Status.OK


def test_a_connection_that_is_not_there(aws: AwsWithAClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECR_AUDIT_POSTGRES_CONN_ID", "bi")

    def unknown() -> NoReturn:
        raise LookupError("The conn_id `bi` isn't defined")

    result = list(examine(connect_hub, unknown))[-1]
    assert (result.title, result.status) == ("PostgreSQL", Status.FAIL)
    assert "`bi` isn't defined" in result.found and "ECR_AUDIT_POSTGRES_CONN_ID" in result.fix


def test_a_channel_of_alerts_that_lacks_something(aws: AwsWithAClock) -> None:
    results = list(examine(connect_hub, lambda: None, lambda: {"e-mail": "", "Slack": "no such connection"}))[-2:]
    assert [(result.title, result.status) for result in results] == [("Alerts", Status.OK), ("Alerts", Status.FAIL)]
    assert "Slack: no such connection" in results[1].found and "docs/alerts.md" in results[1].fix


def test_a_hub_connection_that_is_not_there(aws: AwsWithAClock) -> None:
    def unknown() -> NoReturn:
        raise LookupError("The conn_id `aws_hub` isn't defined")

    results = {result.title: result for result in examine(unknown, lambda: None)}
    assert "`aws_hub` isn't defined" in results["Credentials"].found
    assert results["Role in the accounts"].status is Status.SKIPPED
    assert results["Clock"].status is Status.SKIPPED
    assert results["Lake"].status is Status.OK


@pytest.mark.parametrize(
    ("title", "role", "entered"),
    [
        ("Remediation role", "remediation_role_name", "remediable"),
        ("Security Hub role", "security_hub_role_name", "importable"),
    ],
)
def test_a_role_that_writes_is_tried_where_it_is_set(
    aws: AwsWithAClock, findings: Examine, monkeypatch: pytest.MonkeyPatch, title: str, role: str, entered: str
) -> None:
    aws.world = replace(aws.world, **{role: "security/changes"})  # type: ignore[arg-type]  # a name of a text
    monkeypatch.setenv(f"ECR_AUDIT_{role.upper()}", "/security/changes")
    assert findings() == []
    without = {MEMBERS[1]: replace(aws.world.accounts[MEMBERS[1]], **{entered: False})}  # type: ignore[arg-type]
    aws.world = replace(aws.world, accounts={**aws.world.accounts, **without})
    result = only(findings())
    assert (result.title, result.status) == (title, Status.WARN)
    assert result.found == "role security/changes assumed in 3 of 4 accounts, not in:"
    assert [case[:12] for case in result.cases] == [MEMBERS[1]]
    assert aws.world.writes == [] and aws.world.imports == []
