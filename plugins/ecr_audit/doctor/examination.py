"""All checks, in the order in which they depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from ecr_audit.aws.accounts import session_name
from ecr_audit.doctor.accounts import ROLE, check_accounts
from ecr_audit.doctor.encryption import ENCRYPTION, ENDPOINTS, check_endpoints, check_postgres_encryption
from ecr_audit.doctor.evidence import EVIDENCE, LAKE_FILES, check_evidence, check_lake_files
from ecr_audit.doctor.hub import (
    CREDENTIALS,
    ORGANIZATION,
    REGIONS,
    Connect,
    check_credentials,
    check_organization,
    check_regions,
)
from ecr_audit.doctor.image_tags import IMAGE_TAGS, offer_image_tags
from ecr_audit.doctor.results import Result, Status, fail, ok, skipped
from ecr_audit.doctor.storage import (
    ALERTS,
    LAKE,
    POSTGRESQL,
    PUBLISHED,
    WAIVERS,
    check_alerts,
    check_lake,
    check_postgres,
    check_published,
    check_waivers,
)
from ecr_audit.doctor.trail import TRAIL, check_trail
from ecr_audit.doctor.writing_roles import (
    REMEDIATION_ROLE,
    SECURITY_HUB_ROLE,
    check_remediation_role,
    check_security_hub_role,
)
from ecr_audit.settings import SettingsError, load_settings

SETTINGS = "Settings"

Found = TypeVar("Found")


def examine(
    connect: Connect,
    postgres_uri: Callable[[], str | None],
    alert_channels: Callable[[], Mapping[str, str]] = dict,
) -> Iterator[Result]:
    """Check the settings of the environment and all that they name; yields each result as it comes.

    `connect`: to the hub, as the DAGs do. `postgres_uri`: the libpq URI of the connection that the settings name.
    `alert_channels`: those that the settings name, and what each lacks. All are called only with right settings.
    A check that itself fails is a result as well, and no other check is lost to it.
    """
    try:
        settings = load_settings()
    except SettingsError as error:
        yield fail(SETTINGS, str(error), "Fix them first: all other checks depend on them.")
        return
    given = ", ".join(f"ECR_AUDIT_{name.upper()}" for name in sorted(settings.model_fields_set))
    yield ok(SETTINGS, given or "none set: the defaults")
    organization_id = ""
    hub, results = _safely(CREDENTIALS, lambda: check_credentials(connect, settings), lambda failed: (None, [failed]))
    yield from results
    if hub is None:
        yield from (skipped(title, CREDENTIALS) for title in (ORGANIZATION, REGIONS, ROLE))
    else:
        yield from _safely(ENDPOINTS, lambda: list(check_endpoints(hub, settings)), lambda failed: [failed])
        accounts, organization_id, result = _safely(
            ORGANIZATION, lambda: check_organization(hub, settings), lambda failed: ([], "", failed)
        )
        yield result
        regions, result = _safely(REGIONS, lambda: check_regions(hub, settings), lambda failed: ([], failed))
        yield result
        if accounts and regions:
            named = replace(hub, session_name=session_name("doctor"))
            yield from _safely(
                ROLE, lambda: check_accounts(named, accounts, regions, settings), lambda failed: [failed]
            )
        else:
            yield skipped(ROLE, REGIONS if accounts else ORGANIZATION)
        if settings.remediation_role_name and accounts:
            named = replace(hub, session_name=session_name("doctor"))
            yield _safely(REMEDIATION_ROLE, lambda: check_remediation_role(named, accounts, settings), _itself)
        if settings.security_hub_role_name and accounts:
            named = replace(hub, session_name=session_name("doctor"))
            yield _safely(SECURITY_HUB_ROLE, lambda: check_security_hub_role(named, accounts, settings), _itself)
    if settings.cloudtrail and hub is not None:
        place = (hub.account_id, hub.region)
        yield _safely(TRAIL, lambda: check_trail(settings, organization_id, place), _itself)
    result = _safely(LAKE, lambda: check_lake(settings, organization_id), _itself)
    yield result
    if result.status is Status.OK:
        yield from _safely(IMAGE_TAGS, lambda: list(offer_image_tags(settings)), lambda failed: [failed])
        if files := _safely(LAKE_FILES, lambda: check_lake_files(settings), _itself):
            yield files
    if settings.evidence:
        yield _safely(EVIDENCE, lambda: check_evidence(settings), _itself)
    yield _safely(PUBLISHED, lambda: check_published(settings), _itself)
    if settings.waivers:
        yield _safely(WAIVERS, lambda: check_waivers(settings), _itself)
    if conn_id := settings.postgres_conn_id:
        result = _safely(POSTGRESQL, lambda: check_postgres(settings, postgres_uri), _itself)
        yield result
        if result.status is Status.OK:
            yield from _safely(
                ENCRYPTION,
                lambda: list(check_postgres_encryption(postgres_uri() or "", conn_id)),
                lambda failed: [failed],
            )
    yield from _safely(ALERTS, lambda: list(check_alerts(alert_channels())), lambda failed: [failed])


def _safely(title: str, check: Callable[[], Found], otherwise: Callable[[Result], Found]) -> Found:
    """The results of a check; if the check itself fails, one result made by `otherwise`."""
    try:
        return check()
    except Exception as error:  # whatever it is, the other checks go on
        found = f"the check itself failed: {type(error).__name__}: {error}"
        return otherwise(fail(title, found, "Check what the error names. If that is right, report a bug."))


def _itself(failed: Result) -> Result:
    return failed
