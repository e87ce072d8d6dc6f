"""The places that the audit reads and writes beside AWS: the lake, published files, waivers, PostgreSQL, alerts."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ecr_audit.aws.permissions import Option, Role
from ecr_audit.catalog import load_catalog
from ecr_audit.catalog.waivers import load_waivers
from ecr_audit.doctor.clock import FIX as SET_THE_CLOCK
from ecr_audit.doctor.clock import is_clock_skew
from ecr_audit.doctor.disk import check_folders
from ecr_audit.doctor.permissions import listed
from ecr_audit.doctor.results import Result, fail, ok
from ecr_audit.lake.lake import COMMIT_LOCK, open_lake
from ecr_audit.lake.s3 import PERMISSIONS as S3_PERMISSIONS
from ecr_audit.lake.s3 import S3, open_place
from ecr_audit.lake.storage import LakeError
from ecr_audit.literals import literal
from ecr_audit.publish.dictionary import load_dictionary
from ecr_audit.publish.folder_store import LOCK
from ecr_audit.settings import SQL_ROOT, Settings
from ecr_audit.text import plural

LAKE = "Lake"
PUBLISHED = "Published files"
WAIVERS = "Waivers"
POSTGRESQL = "PostgreSQL"
ALERTS = "Alerts"

_ON_S3 = {each.action for each in S3_PERMISSIONS if Role.HUB in each.roles and each.only_with is Option.BUCKET}
_LET = f"Let the audit read, write, list and delete there (on S3: {listed(_ON_S3)})"

# A folder of the lake that no snapshot uses.
_PROBES = "_doctor"
_PROBE = b"A probe of the doctor's. It may be deleted.\n"


def check_lake(settings: Settings, organization_id: str) -> Result:
    """Write a probe into the lake, read it back and remove it; then read its newest snapshot's commit.

    In a folder also a night's operations on its subfolders, see disk.py.

    `organization_id`: the id of the hub's organization, empty if unknown. A run rejects a lake of another organization.
    """
    root = settings.lake_root
    fix = f"{_LET}, or name another place in ECR_AUDIT_LAKE."
    if not settings.lake:
        fix = "Let the audit write there, or name another folder in ECR_AUDIT_DATA."
    doing = "opened"
    try:
        lake = open_lake(settings)
        name = f"{_PROBES}/{uuid.uuid4().hex}"
        with lake.storage.scratch("doctor") as folder:
            doing = "written"
            (folder / "probe").write_bytes(_PROBE)
            lake.storage.move_in(folder / "probe", f"{name}/probe")
            doing = "read back"
            lake.storage.fetch(f"{name}/probe", folder / "back")
            if (folder / "back").read_bytes() != _PROBE:
                raise LakeError(f"{root}: the bytes read differ from those written")
            doing = "deleted from"
            lake.storage.remove_folder(_PROBES)
        if lake.storage.is_local:
            base = Path(lake.storage.absolute(""))
            folders = (base, *sorted(base.glob("*")), *sorted(base.glob("_commits/*")))
            if failed := check_folders(LAKE, folders, base / COMMIT_LOCK, fix):
                return failed
        doing = "read"
        dates = lake.snapshot_dates("inventory")
        newest = lake.read_commit("inventory", dates[-1]) if dates else None
    except Exception as error:  # the lake's, the disk's, or of the Airflow connection to AWS
        return fail(LAKE, f"{root} cannot be {doing}: {error}", SET_THE_CLOCK if is_clock_skew(str(error)) else fix)
    if newest is None:
        return ok(LAKE, f"{root}: written, read and deleted; no snapshot yet")
    owner = newest.details.get("organization_id")
    if organization_id and owner != organization_id:
        fix = "Give each organization its own ECR_AUDIT_DATA."
        return fail(LAKE, f"{root} holds snapshots of organization {owner}, and the hub's is {organization_id}", fix)
    snapshots = f"{plural(len(dates), 'snapshot')}, the newest of {dates[-1]}"
    return ok(LAKE, f"{root}: written, read and deleted; {snapshots}")


def check_published(settings: Settings) -> Result:
    """Write, rename, lock and remove a probe where files are published, and in the folders that are there."""
    folder = open_place(settings.publish_root, settings.s3_encryption)
    if isinstance(folder, S3):
        return _check_published_on_s3(folder)
    fix = "Let the audit write there, or name another folder in ECR_AUDIT_DATA or ECR_AUDIT_PUBLISH."
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return fail(PUBLISHED, f"{folder} cannot be written: {error}", fix)
    folders = (folder, folder / "versions", *folder.glob("versions/*"))
    failed = check_folders(PUBLISHED, folders, folder / LOCK, fix)
    return failed or ok(PUBLISHED, f"{folder}: written, locked and deleted")


def _check_published_on_s3(place: S3) -> Result:
    name = f"{_PROBES}/{uuid.uuid4().hex}"
    try:
        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder, "probe")
            probe.write_bytes(_PROBE)
            place.put(probe, name)
        place.get(name)
        place.names("versions/")
        place.delete([name])
    except Exception as error:  # S3's, or of the Airflow connection to AWS
        fix = f"{_LET}, or name another place in ECR_AUDIT_PUBLISH."
        fix = SET_THE_CLOCK if is_clock_skew(str(error)) else fix
        return fail(PUBLISHED, f"{place.url} cannot be read, written, listed and deleted: {error}", fix)
    return ok(PUBLISHED, f"{place.url}: written, read, listed and deleted")


def check_waivers(settings: Settings) -> Result:
    """Load the file of waivers as a run does."""
    try:
        waivers = load_waivers(settings.waivers, load_catalog(SQL_ROOT), settings.waiver_max_days)
    except Exception as error:  # the file's, or of the Airflow connection to AWS
        return fail(WAIVERS, str(error), "Fix the file, or ECR_AUDIT_WAIVERS.")
    return ok(WAIVERS, f"{settings.waivers}: {waivers.num_rows}")


def check_postgres(settings: Settings, uri: Callable[[], str | None]) -> Result:
    """Connect as publishing does, ask whether the schema is there or may be created, and begin a publication."""
    import adbc_driver_postgresql.dbapi as postgresql  # heavy, like the next import, and rarely needed

    from ecr_audit.publish.postgres import check_schema
    from ecr_audit.publish.tables import TABLES, VIEWS

    schema = settings.postgres_schema
    fix = f"Fix the Airflow connection '{settings.postgres_conn_id}' (ECR_AUDIT_POSTGRES_CONN_ID), or the server."
    try:
        given = uri() or ""
        with postgresql.connect(given) as connection, connection.cursor() as cursor:
            cursor.execute(
                f"""
                SELECT current_user::text, current_database()::text, version()::text,
                    coalesce(
                        (
                            SELECT has_schema_privilege(oid, 'CREATE')
                            FROM pg_namespace
                            WHERE nspname = {literal(schema)}
                        ),
                        has_database_privilege(current_database(), 'CREATE')
                    )
                """
            )
            [(user, database, version, may_create)] = cursor.fetchall()
    except Exception as error:  # Airflow's, of an unknown connection, or the driver's
        return fail(POSTGRESQL, str(error).strip(), fix)
    if not may_create:
        found = f"{user} may not create tables in schema {schema} of database {database}"
        return fail(POSTGRESQL, found, f'GRANT CREATE ON SCHEMA {schema} TO "{user}", or on the database if it is new.')
    try:
        check_schema(given, schema, load_dictionary(TABLES | VIEWS))
    except Exception as error:
        return fail(
            POSTGRESQL,
            str(error).strip(),
            f"Make room for the tables in schema {schema}, or name another one in ECR_AUDIT_POSTGRES_SCHEMA.",
        )
    return ok(POSTGRESQL, f"{user} may write schema {schema} of database {database} ({version.partition(' on ')[0]})")


def check_alerts(channels: Mapping[str, str]) -> Iterator[Result]:
    """One result per channel: its name, with what its connection lacks, if anything. Nothing is sent."""
    for channel, lacks in channels.items():
        yield fail(ALERTS, f"{channel}: {lacks}", "docs/alerts.md has the set-up.") if lacks else ok(ALERTS, channel)
