"""Nights on the ways to AWS that companies have, with the lake on S3: whatever calls AWS goes as boto3 goes."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from demo.emulated_aws.identities import HUB_ACCESS_KEY_ID, HUB_SECRET_ACCESS_KEY
from ecr_audit.aws.access import use_access
from ecr_audit.aws.session import connect_hub
from ecr_audit.doctor import Status, examine
from ecr_audit.lake.lake import Lake, open_lake
from ecr_audit.settings import load_settings
from support.network import HERE, Authority, Proxy, TlsFront

LOGIN = ("CORP\\audit", "p@ss:w/o#rd%")
WRITTEN_LOGIN = "CORP%5Caudit:p%40ss%3Aw%2Fo%23rd%25"


class Company:
    """AWS, with S3 beside it, behind TLS of the company's own; and its proxy. `night` is one without any fault."""

    def __init__(self, audit: Any, bucket: str, monkeypatch: pytest.MonkeyPatch, aws: str, s3: str) -> None:
        self._audit = audit
        self._set = monkeypatch.setenv
        self.lake = f"s3://{bucket}/ecr/lake"
        self._publish = f"s3://{bucket}/ecr/publish"
        self.endpoints = {"AWS_ENDPOINT_URL": aws, "AWS_ENDPOINT_URL_S3": s3}

    def night(self, environment: Mapping[str, str]) -> None:
        """A whole night with an environment, whose snapshot is the truth; and a doctor who finds nothing to fix."""
        for name, value in {"ECR_AUDIT_LAKE": self.lake, "ECR_AUDIT_PUBLISH": self._publish, **environment}.items():
            self._set(name, value)
        use_access(None)
        self._audit.lake = open_lake(load_settings())
        self._audit.run()
        self._audit.assert_true()
        results = list(examine(connect_hub, lambda: None))
        assert [result for result in results if result.status is not Status.OK] == []


@pytest.fixture
def company(
    audit_of: Callable[..., Any],
    organization_of: Callable[..., Any],
    bucket: str,
    s3_endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Callable[..., Company]]:
    """Makes one: with an authority it speaks TLS, and with `asks_clients` only with those that have a certificate."""
    with ExitStack() as running:

        def make(authority: Authority | None = None, *, asks_clients: bool = False) -> Company:
            audit = audit_of(organization_of(2))
            urls = [audit.aws.endpoint_url, s3_endpoint]
            if authority:
                fronts = [TlsFront(url, authority, asks_clients=asks_clients) for url in urls]
                urls = [running.enter_context(front).url for front in fronts]
            return Company(audit, bucket, monkeypatch, *urls)

        yield make


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize(
    ("login", "written"),
    [
        (None, "{address}"),
        (LOGIN, "http://" + WRITTEN_LOGIN + "@{address}"),
    ],
)
def test_a_proxy_however_it_is_written(
    company: Callable[..., Company], authority: Authority, login: tuple[str, str] | None, written: str
) -> None:
    aws = company(authority)
    with Proxy(login) as proxy:
        by_proxy = {"HTTPS_PROXY": written.format(address=proxy.address), "AWS_CA_BUNDLE": str(authority.bundle)}
        aws.night({**aws.endpoints, **by_proxy})
    reached = {f"CONNECT {url.removeprefix('https://')} HTTP/1.1" for url in aws.endpoints.values()}
    # That to S3 by urllib3, which has the older version.
    assert {asked.replace("HTTP/1.0", "HTTP/1.1") for asked in proxy.asked} == reached


def test_a_proxy_before_endpoints_without_tls(company: Callable[..., Company]) -> None:
    aws = company()
    with Proxy(LOGIN) as proxy:
        aws.night({**aws.endpoints, "HTTP_PROXY": f"{WRITTEN_LOGIN}@{proxy.address}"})
    assert {asked.split(" ")[1].split("/")[2] for asked in proxy.asked} == {
        url.removeprefix("http://") for url in aws.endpoints.values()
    }


def test_no_proxy_is_respected(company: Callable[..., Company], authority: Authority) -> None:
    aws = company(authority)
    proxies = {"HTTPS_PROXY": "http://proxy.invalid:3128", "NO_PROXY": f"localhost,{HERE}"}
    aws.night({**aws.endpoints, **proxies, "AWS_CA_BUNDLE": str(authority.bundle)})


def test_certificates_of_old_software(
    company: Callable[..., Company], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python refuses them since 3.13, by its own default; botocore takes them."""
    make = ssl.create_default_context

    def strict(*given: Any, **options: Any) -> ssl.SSLContext:
        context = make(*given, **options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    authority = Authority(tmp_path, plain=True)
    aws = company(authority)
    aws.night({**aws.endpoints, "REQUESTS_CA_BUNDLE": str(authority.bundle)})


def test_a_profile_with_all_of_it(company: Callable[..., Company], authority: Authority, tmp_path: Path) -> None:
    """Its role is assumed with another profile's keys; endpoints and trust are its own."""
    aws = company(authority)
    profile = tmp_path / "config"
    profile.write_text(
        f"""
        [profile audit]
        role_arn = arn:aws:iam::100000000000:role/ecr-audit
        source_profile = keys
        region = eu-west-1
        ca_bundle = {authority.bundle}
        services = local
        [profile keys]
        aws_access_key_id = {HUB_ACCESS_KEY_ID}
        aws_secret_access_key = {HUB_SECRET_ACCESS_KEY}
        endpoint_url = {aws.endpoints["AWS_ENDPOINT_URL"]}
        ca_bundle = {authority.bundle}
        [services local]
        """.replace("\n        ", "\n")
        + "".join(
            f"{service} =\n    endpoint_url = {aws.endpoints['AWS_ENDPOINT_URL' + '_S3' * (service == 's3')]}\n"
            for service in ("sts", "ec2", "ecr", "organizations", "resource_groups_tagging_api", "s3")
        )
    )
    unset = dict.fromkeys(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", *aws.endpoints, "AWS_CA_BUNDLE"], "")
    regions = {"AWS_DEFAULT_REGION": "", "AWS_REGION": ""}
    aws.night({**unset, **regions, "AWS_CONFIG_FILE": str(profile), "AWS_PROFILE": "audit"})


def test_variables_that_are_empty_are_not_given(company: Callable[..., Company]) -> None:
    """As `VARIABLE=` in an env file has them."""
    aws = company()
    names = ("PROFILE", "CA_BUNDLE", "SESSION_TOKEN", "RETRY_MODE", "MAX_ATTEMPTS", "DEFAULT_REGION", "DEFAULTS_MODE")
    aws.night({**aws.endpoints, **{f"AWS_{name}": "" for name in names}, "REQUESTS_CA_BUNDLE": "", "HTTPS_PROXY": ""})


def test_a_prefix_is_taken_letter_by_letter(company: Callable[..., Company], bucket: str) -> None:
    aws = company()
    aws.lake = f"s3://{bucket}/audit data/100%20+1/a&b=c"
    aws.night(aws.endpoints)
    assert Lake(aws.lake).storage.files("_commits/inventory") == ["_commits/inventory/2026-03-01.json"]


def test_a_bundle_that_is_not_there_is_nothing_to_a_way_without_tls(company: Callable[..., Company]) -> None:
    """As botocore reads it when it is needed."""
    aws = company()
    aws.night({**aws.endpoints, "AWS_CA_BUNDLE": "/no/such/bundle.pem"})


def test_a_proxy_that_refuses_is_found_by_the_doctor_and_no_password_is_shown(
    company: Callable[..., Company], authority: Authority
) -> None:
    aws = company(authority)
    with Proxy(("CORP\\audit", "another")) as proxy:
        by_proxy = {"HTTPS_PROXY": f"http://{WRITTEN_LOGIN}@{proxy.address}", "AWS_CA_BUNDLE": str(authority.bundle)}
        with pytest.raises(Exception, match="Failed to connect to proxy URL"):
            aws.night({**aws.endpoints, **by_proxy})
        results = {result.title: result for result in examine(connect_hub, lambda: None)}
    failed = [result.title for result in results.values() if result.status is Status.FAIL]
    assert failed == ["Credentials", "Lake", "Published files"]
    reported = "".join(str(result) for result in results.values())
    assert "p@ss" not in reported and "p%40ss" not in reported
