"""PublicationStore on S3: the files that readers find at each moment, those that are kept, and how they are read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as postgresql
import boto3
import duckdb
import pytest

import ecr_audit
from ecr_audit.lake.s3 import S3, S3Error
from ecr_audit.publish.publication import CHECKSUMS, DATABASE, PublicationError, Published, version_of
from ecr_audit.publish.s3_store import S3PublicationStore
from ecr_audit.publish.store import newest, publication_store
from ecr_audit.settings import Settings, load_settings
from support import light_install
from support.small_lake import SmallLake

from .conftest import BUCKET, KEY, DyingPuts, EmulatedS3, Killed

DAY = date(2026, 11, 1)
ROOT = f"s3://{BUCKET}/audit/reports"
NOW = datetime.now(UTC)


@pytest.fixture
def settings(s3: EmulatedS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path / "publisher"))
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", ROOT)
    return load_settings()


@pytest.fixture
def elsewhere(settings: Settings, tmp_path: Path) -> Settings:
    """The same settings on another machine."""
    return settings.model_copy(update={"data": tmp_path / "reader"})


def publish(
    settings: Settings, content: str, *, at: datetime = NOW, missing: dict[str, str] | None = None
) -> Published:
    place = publication_store(settings)
    with place.building() as aside:
        for name in (DATABASE, "findings.csv"):
            (aside / name).write_text(content)
        return place.add(aside, version_of(at, content.encode().hex().ljust(12, "0")), DAY, missing)


def content_of(name: str) -> str:
    """The content that `publish` got, by any name that has the version in it."""
    return bytes.fromhex(name.split("-")[-1][:12]).rstrip(b"\0").decode()


def contents(names: Iterable[str]) -> set[str]:
    return {content_of(name) for name in names if "versions" in name}


def test_a_version_is_found_on_another_machine(settings: Settings, elsewhere: Settings, s3: EmulatedS3) -> None:
    published = publish(settings, "one")
    found = newest(elsewhere)
    assert (found.version, found.snapshot_date) == (published.version, DAY)
    assert (found.database.read_text(), published.database.read_text()) == ("one", "one")
    assert found.database != published.database
    prefix = f"audit/reports/versions/{published.version}"
    assert s3.all_keys() == {f"{prefix}/{DATABASE}", f"{prefix}/findings.csv", "audit/reports/latest.json"}


def test_it_is_downloaded_once(
    settings: Settings, elsewhere: Settings, s3: EmulatedS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(settings, "one")
    download, downloads = S3.download, []

    def watched_download(*given: Any) -> None:
        downloads.append(given)
        download(*given)

    monkeypatch.setattr(S3, "download", watched_download)
    with ThreadPoolExecutor(12) as readers:
        paths = list(readers.map(lambda _: newest(elsewhere).database, range(12)))
    assert (len(downloads), len(set(paths))) == (1, 1)
    publish(settings, "two", at=NOW + timedelta(seconds=1))
    assert newest(elsewhere).database.read_text() == "two"
    assert paths[0].read_text() == "one", "whoever reads it goes on"
    assert newest(settings).database.read_text() == "two"
    assert len(downloads) == 2, "the publisher has what it published"


def test_the_cache_forgets_all_but_two(settings: Settings, elsewhere: Settings) -> None:
    versions = []
    for second, content in enumerate(("one", "two", "three")):
        publish(settings, content, at=NOW + timedelta(seconds=second))
        versions.append(newest(elsewhere).version)
    kept = [path.name for path in (elsewhere.data / "cache").iterdir() if path.is_dir()]
    assert sorted(kept) == versions[1:]


def test_a_publisher_that_dies_between_two_puts_leaves_the_old_version(
    settings: Settings, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files and latest.json: readers see the old version, whole, until the last is put."""
    publish(settings, "one", at=NOW - timedelta(days=9))
    puts = DyingPuts(monkeypatch)
    for allowed in range(3):
        puts.left = allowed
        with pytest.raises(Killed):
            publish(settings, "two", at=NOW - timedelta(days=3, seconds=allowed))
        assert newest(elsewhere).database.read_text() == "one"
        assert newest(settings).database.read_text() == "one"
    puts.left = 3
    third = publish(settings, "three", at=NOW)
    assert newest(elsewhere).database.read_text() == "three"
    place = S3(ROOT)
    assert contents(place.names("versions/")) == {"one", "three"}, "what the dead left is gone"
    assert content_of(third.version) == "three"


def add_workbook(settings: Settings, published: Published) -> None:
    place = publication_store(settings)
    with place.building() as aside:
        for name in (CHECKSUMS, "compliance.xlsx"):
            (aside / name).write_text("with the workbook")
        place.complete(published, aside, {})


def test_a_publisher_that_dies_while_it_adds_a_file_leaves_the_version_as_it_was(
    settings: Settings, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file, the checksums, then latest.json: no checksum is of a file that is not there."""
    place = S3(ROOT)
    published = publish(settings, "one", missing={"workbook": "not yet"})
    folder = f"versions/{published.version}"
    puts = DyingPuts(monkeypatch)
    for allowed in range(3):
        puts.left = allowed
        with pytest.raises(Killed):
            add_workbook(settings, published)
        assert newest(elsewhere).missing_exports == {"workbook": "not yet"}
        assert (place.get(f"{folder}/compliance.xlsx") is not None) == (allowed >= 1)
        assert (place.get(f"{folder}/{CHECKSUMS}") is not None) == (allowed >= 2)
    puts.left = 3
    add_workbook(settings, published)
    assert newest(elsewhere) == replace(
        published, missing_exports={}, folder=elsewhere.data / "cache" / published.version
    )


def test_a_file_that_is_added_late_does_not_bring_back_an_older_version(
    settings: Settings, elsewhere: Settings
) -> None:
    published = publish(settings, "one", missing={"workbook": "not yet"})
    publish(settings, "two", at=NOW + timedelta(seconds=1), missing={"workbook": "not yet"})
    add_workbook(settings, published)
    assert newest(elsewhere).database.read_text() == "two"
    assert newest(elsewhere).missing_exports == {"workbook": "not yet"}


def test_old_versions_go_after_a_day_but_never_the_one_before_the_newest(settings: Settings, s3: EmulatedS3) -> None:
    ages = {"a": 30, "b": 20, "c": 10, "d": 0}
    for content, days in ages.items():
        publish(settings, content, at=NOW - timedelta(days=days))
    assert contents(s3.all_keys()) == {"c", "d"}
    publish(settings, "e", at=NOW + timedelta(seconds=1))
    assert contents(s3.all_keys()) == {"d", "e"}
    publish(settings, "f", at=NOW + timedelta(seconds=2))
    assert contents(s3.all_keys()) == {"d", "e", "f"}, "somebody may read it"


def test_old_versions_that_cannot_be_removed_do_not_keep_the_night_from_being_announced(
    settings: Settings, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish(settings, "one", at=NOW - timedelta(days=9))

    def refuse(*_: object) -> None:
        raise S3Error("AccessDenied for DeleteObjects")

    monkeypatch.setattr(S3, "delete", refuse)
    for content, days in (("two", 6), ("three", 0)):
        publish(settings, content, at=NOW - timedelta(days=days))
    assert newest(elsewhere).database.read_text() == "three"
    assert f"ECR_AUDIT_PUBLISH: old versions at '{ROOT}' cannot be removed (AccessDenied" in caplog.text


def test_a_listing_that_is_late_hides_nothing_and_removes_nothing_that_is_needed(
    settings: Settings, elsewhere: Settings, s3: EmulatedS3
) -> None:
    publish(settings, "one", at=NOW - timedelta(days=3))
    s3.stop_listing()
    publish(settings, "two", at=NOW - timedelta(days=2))
    assert newest(elsewhere).database.read_text() == "two"
    publish(settings, "three", at=NOW)
    assert newest(elsewhere).database.read_text() == "three"
    s3.list_again()
    publish(settings, "four", at=NOW + timedelta(seconds=1))
    assert contents(s3.all_keys()) == {"three", "four"}


@pytest.mark.parametrize(
    ("setting", "reported"), [("AES256", ("AES256", None)), ("aws:kms", ("aws:kms", None)), (KEY, ("aws:kms", KEY))]
)
def test_every_object_is_encrypted_as_set(
    settings: Settings, s3: EmulatedS3, setting: str, reported: tuple[str | None, str | None]
) -> None:
    s3.asks_for_encryption = True
    with pytest.raises(PublicationError, match=r"ECR_AUDIT_PUBLISH: 's3://.*' cannot be written .*AccessDenied"):
        publish(settings, "one")
    publish(settings.model_copy(update={"s3_encryption": setting}), "two")
    assert set(s3.encryption.values()) == {reported}


def test_without_a_publication_the_error_names_the_setting(settings: Settings) -> None:
    with pytest.raises(FileNotFoundError, match=r"ECR_AUDIT_PUBLISH: 's3://.*/latest.json' does not exist"):
        newest(settings)


def test_a_database_that_is_gone_does_not_read_as_nothing_published(
    settings: Settings, elsewhere: Settings, s3: EmulatedS3
) -> None:
    published = publish(settings, "one")
    boto3.client("s3").delete_object(Bucket=BUCKET, Key=f"audit/reports/versions/{published.version}/{DATABASE}")
    with pytest.raises(PublicationError, match=r"ECR_AUDIT_PUBLISH: 's3://.*/latest.json' names .* is gone. Run"):
        newest(elsewhere)
    publish(settings, "two", at=NOW + timedelta(seconds=1))
    assert newest(elsewhere).database.read_text() == "two"


def test_a_bucket_that_is_not_there_is_named(s3: EmulatedS3, tmp_path: Path) -> None:
    place = S3PublicationStore(S3("s3://no-such-reports/x"), tmp_path)
    with pytest.raises(PublicationError, match=r"ECR_AUDIT_PUBLISH: 's3://no-such-reports/x/.*NoSuchBucket"):
        place.newest()


def test_query_postgresql_and_the_shell_follow_it(
    settings: Settings, small_lake: SmallLake, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the steps publish it: the lake on S3, too."""
    from ecr_audit.lake.lake import open_lake
    from ecr_audit.publish import steps

    monkeypatch.setenv("ECR_AUDIT_LAKE", f"s3://{BUCKET}/audit/lake")
    small_lake.lake = open_lake(load_settings())
    small_lake.night(DAY, repositories=[{}])
    assert steps.publish(DAY.isoformat()) == f"{ROOT}/latest.json"
    assert list(ecr_audit.query("SELECT snapshot_date FROM publication")["snapshot_date"].dt.date) == [DAY]
    assert steps.announce() == "this is the first night: there is nothing to compare with"
    version = newest(settings).version
    monkeypatch.setenv("ECR_AUDIT_POSTGRES_SCHEMA", "from_s3")
    # The publisher has the file; a worker of another machine downloads it.
    for data in (settings.data, settings.data / "elsewhere"):
        monkeypatch.setenv("ECR_AUDIT_DATA", str(data))
        steps.publish_to_postgres(postgres)
    with postgresql.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT compliance_commit FROM from_s3.publication")
        assert version.endswith(cursor.fetchone()[0])
    assert newest(settings).version == version
    command = [sys.executable, "-m", "ecr_audit.publish.newest"]
    plugins = Path(ecr_audit.__file__).parents[1]
    reported = subprocess.run(command, check=True, capture_output=True, text=True, cwd=plugins)
    with duckdb.connect(reported.stdout.strip(), read_only=True) as database:
        assert database.execute("SELECT count(*) FROM findings").fetchall() == [(2,)]
    light = light_install.query("SELECT count(*) AS findings FROM findings")
    assert light["rows"] == [{"findings": 2}]
    assert light_install.listed() <= light["packages"]
