"""All checks, in the order in which they depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ecr_audit.doctor.accounts import ROLE, check_accounts
from ecr_audit.doctor.hub import (
    CREDENTIALS,
    ORGANIZATION,
    REGIONS,
    Connect,
    check_credentials,
    check_organization,
    check_regions,
)
from ecr_audit.doctor.places import check_alerts, check_lake, check_postgres, check_published, check_waivers
from ecr_audit.doctor.results import Result, fail, ok, skipped
from ecr_audit.settings import SettingsError, load_settings

SETTINGS = "Settings"


def examine(
    connect: Connect,
    postgres_uri: Callable[[], str | None],
    alert_channels: Callable[[], Mapping[str, str]] = dict,
) -> Iterator[Result]:
    """Check the settings of the environment and all that they name; yields each result as it comes.

    `connect`: to the hub, as the DAGs do. `postgres_uri`: the libpq URI of the connection that the settings name.
    `alert_channels`: those that the settings name, and what each lacks. All are called only with right settings.
    """
    try:
        settings = load_settings()
    except SettingsError as error:
        yield fail(SETTINGS, str(error), "Mend them first: all else depends on them.")
        return
    given = ", ".join(f"ECR_AUDIT_{name.upper()}" for name in sorted(settings.model_fields_set))
    yield ok(SETTINGS, given or "none given: the defaults")
    organization_id = ""
    hub, results = check_credentials(connect, settings)
    yield from results
    if hub is None:
        yield from (skipped(title, CREDENTIALS) for title in (ORGANIZATION, REGIONS, ROLE))
    else:
        accounts, organization_id, result = check_organization(hub, settings)
        yield result
        regions, result = check_regions(hub, settings)
        yield result
        if accounts and regions:
            yield from check_accounts(hub, accounts, regions, settings)
        else:
            yield skipped(ROLE, REGIONS if accounts else ORGANIZATION)
    yield check_lake(settings, organization_id)
    yield check_published(settings)
    if settings.waivers:
        yield check_waivers(settings)
    if settings.postgres_conn_id:
        yield check_postgres(settings, postgres_uri)
    yield from check_alerts(alert_channels())
