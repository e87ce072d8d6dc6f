"""The short way of a call asks for what botocore would, and takes answers as botocore does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from ecr_audit.aws.answers import request_id
from ecr_audit.aws.outcomes import error_code, error_message, error_request_id
from ecr_audit.aws.transport import Transport, header_text, rehearse

ROLE = {"RoleArn": "arn:aws:iam::222222222222:role/ecr-audit", "RoleSessionName": "ecr-audit", "DurationSeconds": 3600}
# Every call that the scan makes: service, method, parameters, the service's name in a signature.
CALLS: list[tuple[str, str, dict[str, Any], str]] = [
    ("ecr", "describe_repositories", {"maxResults": 1000}, "ecr"),
    ("resourcegroupstaggingapi", "get_resources", {"ResourceTypeFilters": ["ecr:repository"]}, "tagging"),
    ("sts", "assume_role", ROLE, "sts"),
    ("ec2", "describe_regions", {}, "ec2"),
]
SESSION = ReadOnlyCredentials("ASIAEXAMPLE", "secret", "token/with+signs==")
USER = ReadOnlyCredentials("AKIAEXAMPLE", "secret", None)
NOW = datetime(2026, 11, 22, 2, 0, 5, tzinfo=UTC)

PLACES: dict[str, tuple[str, dict[str, str], str]] = {
    "a default region": ("us-east-1", {}, "https://api.ecr.us-east-1.amazonaws.com/"),
    "GovCloud": ("us-gov-west-1", {}, "https://api.ecr.us-gov-west-1.amazonaws.com/"),
    "China": ("cn-north-1", {}, "https://api.ecr.cn-north-1.amazonaws.com.cn/"),
    "FIPS": ("us-gov-east-1", {"AWS_USE_FIPS_ENDPOINT": "true"}, "https://api.ecr-fips.us-gov-east-1.amazonaws.com/"),
    "dual stack": ("eu-west-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://ecr.eu-west-1.api.aws/"),
    "an endpoint of one's own": ("us-east-1", {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "http://127.0.0.1:4566/"),
    "one with the port of its scheme": (
        "us-east-1",
        {"AWS_ENDPOINT_URL": "https://aws.test:443"},
        "https://aws.test:443/",
    ),
    "one with a path": ("us-east-1", {"AWS_ENDPOINT_URL": "http://aws.test/ecr/"}, "http://aws.test/ecr/"),
}


def client_of(service: Any, region: str = "us-east-1") -> Any:
    return boto3.Session("nobody", "nobody").client(service, region_name=region)


@pytest.fixture(scope="module")
def ecr() -> Transport:
    return Transport(client_of("ecr"), "describe_repositories", {})


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[SimpleNamespace]:
    """A region and how it is reached, with botocore's clients there."""
    region, environment, endpoint = PLACES[request.param]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        clients = {service: client_of(service, region) for service, *_ in CALLS}
        yield SimpleNamespace(region=region, endpoint=endpoint, clients=clients)


def test_it_signs_as_botocore_does(monkeypatch: pytest.MonkeyPatch, place: SimpleNamespace) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)
    for service, method, parameters, signing_name in CALLS:
        transport = Transport(place.clients[service], method, parameters)
        for credentials in (USER, SESSION):
            body, _ = transport.request(parameters, credentials)
            request = AWSRequest("POST", transport.url, dict(transport.headers), body)
            botocore.auth.SigV4Auth(credentials, signing_name, place.region).add_auth(request)
            assert transport.signed(body, credentials, NOW) == dict(request.headers)


def test_it_sends_the_requests_of_botocore(place: SimpleNamespace) -> None:
    for service, method, parameters, _ in CALLS:
        client = place.clients[service]
        theirs = rehearse(client, method, parameters)
        transport = Transport(client, method, parameters)
        body, headers = transport.request(parameters, USER)
        assert transport.url == theirs.url
        assert body == (theirs.body.encode() if isinstance(theirs.body, str) else theirs.body)
        of_botocore = {name: header_text(value) for name, value in theirs.headers.items()}
        assert headers.keys() == {name for name in of_botocore if not name.startswith("amz-sdk-")} - {"Content-Length"}
        changing = {"Authorization", "X-Amz-Date"}
        assert all(headers[name] == of_botocore[name] for name in headers.keys() - changing)


@pytest.mark.parametrize("learned_in", ["us-east-2", "us-gov-west-1"])
def test_a_client_of_another_region_leads_where_one_of_this_region_would(
    place: SimpleNamespace, learned_in: str
) -> None:
    for service, method, parameters, _ in CALLS:
        own = Transport(place.clients[service], method, parameters)
        other = Transport(client_of(service, learned_in), method, parameters, place.region)
        assert (other.url, other.headers) == (own.url, own.headers)
        assert other.signed(b"{}", SESSION, NOW) == own.signed(b"{}", SESSION, NOW)


@pytest.mark.parametrize(("service", "method", "parameters"), [call[:3] for call in CALLS])
def test_one_client_knows_the_endpoints_of_all_regions(
    service: str, method: str, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _, environment, _ in PLACES.values():
        for name in environment:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "regional")
    session, client = boto3.Session("nobody", "nobody"), client_of(service)
    regions = [
        each for name in session.get_available_partitions() for each in session.get_available_regions("ecr", name)
    ]
    assert len(regions) > 30
    for region in regions:
        url = f"{client_of(service, region).meta.endpoint_url}/"
        other = Transport(client, method, parameters, region)
        assert (other.url, other.signed(b"", USER, NOW)["Authorization"].split("/")[2]) == (url, region)


def test_it_calls_the_endpoint_that_botocore_finds(place: SimpleNamespace) -> None:
    transport = Transport(place.clients["ecr"], "describe_repositories", {})
    assert transport.url == place.endpoint
    assert transport.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert re.match(r"Boto3/\S+ md/Botocore#", transport.headers["User-Agent"])


def test_an_answer_is_the_json_that_came_with_the_id_of_the_call(ecr: Transport) -> None:
    headers = {"x-amzn-requestid": "b917-1"}
    body = b'{"repositories": [{"createdAt": 1.5}], "ResponseMetadata": {"RequestId": "not of the header"}}'
    answer = ecr.answer(200, headers, body)
    assert answer == {"repositories": [{"createdAt": 1.5}], "ResponseMetadata": {"RequestId": "b917-1"}}
    assert request_id(answer) == "b917-1"
    with pytest.raises(ClientError) as caught:
        ecr.answer(400, headers, b'{"__type":"AccessDeniedException","message":"no"}')
    assert error_request_id(caught.value) == "b917-1"


@pytest.mark.parametrize("id", [None, 7, "x" * 129, "\ud800"])
def test_an_id_that_is_none_is_left_out(ecr: Transport, id: Any) -> None:
    assert request_id(ecr.answer(200, {"x-amzn-requestid": id}, b"{}")) is None


def test_an_answer_in_xml_is_parsed_as_by_botocore() -> None:
    sts = Transport(client_of("sts"), "assume_role", ROLE)
    body = b"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
        <AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
        <Expiration>2026-11-22T03:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""
    assert sts.answer(200, {}, body)["Credentials"] == {
        "AccessKeyId": "ASIA",
        "SecretAccessKey": "s",
        "SessionToken": "t",
        "Expiration": datetime(2026, 11, 22, 3, tzinfo=UTC).astimezone(),
    }


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (400, b'{"__type":"com.amazonaws#ThrottlingException","message":"slow"}', "ThrottlingException", "slow"),
        (400, b'{"__type":"ThrottledException","Message":"slow"}', "ThrottledException", "slow"),
        (503, b"<html><body>Service Unavailable</body></html>", "503", "Service Unavailable"),
        (302, b"", "302", ""),
    ],
)
def test_an_error_of_aws_is_the_error_that_botocore_makes_of_it(
    ecr: Transport, status: int, body: bytes, code: str, message: str
) -> None:
    with pytest.raises(ClientError) as caught:
        ecr.answer(status, {}, body)
    assert caught.value.response["Error"] == {"Code": code, "Message": message}
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_an_error_in_xml_is_the_error_that_botocore_makes_of_it() -> None:
    sts = Transport(client_of("sts"), "assume_role", ROLE)
    body = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
    with pytest.raises(ClientError) as caught:
        sts.answer(403, {}, body)
    assert caught.value.response["Error"] == {"Code": "AccessDenied", "Message": "no"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"__type": 5}',
        b"[]",
        b"5",
        b'"no"',
        b"[" * 100_000,
    ],
    ids=lambda body: body[:20].decode(),
)
def test_an_error_that_cannot_be_read_is_not_an_answer(ecr: Transport, body: bytes) -> None:
    """Such as may pass when it is asked again, and not a fault of the program's own."""
    with pytest.raises(ResponseParserError, match=r"describe_repositories returned \(HTTP status 403\)"):
        ecr.answer(403, {}, body)


@pytest.mark.parametrize("body", [b"<a", b"<Errors/>", b"<R><Errors>no</Errors></R>", b"<R><Error>no</Error></R>"])
def test_an_error_in_xml_that_cannot_be_read_is_not_an_answer(body: bytes) -> None:
    sts = Transport(client_of("sts"), "assume_role", ROLE)
    try:
        sts.answer(403, {}, body)
    except ClientError as error:
        assert error_code(error) == "Unknown"
    except ResponseParserError as error:
        assert "assume_role returned (HTTP status 403)" in str(error)


def test_a_refusal_with_broken_letters_is_a_refusal(ecr: Transport) -> None:
    with pytest.raises(ClientError) as caught:
        ecr.answer(403, {}, b'{"__type": "AccessDeniedException", "message": "n\xf6"}')
    assert (error_code(caught.value), error_message(caught.value)) == ("AccessDeniedException", "n\ufffd")


@pytest.mark.parametrize("expiration", ["<Expiration>soon</Expiration>", "<Expiration/>", ""])
def test_a_time_in_xml_that_cannot_be_read_is_none(expiration: str) -> None:
    sts = Transport(client_of("sts"), "assume_role", ROLE)
    body = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
        <AccessKeyId>ASIA</AccessKeyId>{expiration}</Credentials></AssumeRoleResult></AssumeRoleResponse>"""
    credentials = sts.answer(200, {}, body.encode())["Credentials"]
    assert (credentials["AccessKeyId"], credentials.get("Expiration")) == ("ASIA", None)


@pytest.mark.parametrize("body", [b"", b'{"repositories": [', b"[]", b"null", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_not_a_json_object(ecr: Transport, body: bytes) -> None:
    with pytest.raises(ResponseParserError, match="describe_repositories returned"):
        ecr.answer(200, {}, body)
