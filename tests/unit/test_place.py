"""Places of files in settings: valid ones, and those that are refused by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ecr_audit.lake.s3 import S3, open_place
from ecr_audit.place import place_of, uri_of
from support.paths import ROOT


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3://audit-lake/ecr", "s3://audit-lake/ecr"),
        ("  s3://audit-lake/ecr\r\n", "s3://audit-lake/ecr"),
        ("S3://audit-lake/ecr//", "s3://audit-lake/ecr"),
        ("s3://audit-lake", "s3://audit-lake"),
        ("s3://audit-lake/", "s3://audit-lake"),
        ("s3://audit-lake/with space/50%20", "s3://audit-lake/with space/50%20"),
        ("/srv/lake/", "/srv/lake"),
        ("file:///srv/lake", "/srv/lake"),
        ("lake", "{here}/lake"),
        ("./s3:", "{here}/s3:"),
        (".", "{here}"),
        ("~", "{here}/home"),
        ("~/lake", "{here}/home/lake"),
        ("file:///srv/~/lake", "/srv/~/lake"),
        ("/home/o'brien/ünïcode dir", "/home/o'brien/ünïcode dir"),
    ],
)
def test_a_place_is_absolute_or_on_s3(text: str, place: str, tmp_path: Path) -> None:
    assert place_of(text) == place.format(here=tmp_path)
    # A place stays as it is.
    assert place_of(place_of(text)) == place_of(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (" ", "is empty"),
        ('"s3://audit-lake/ecr"', 'contains a quotation mark, "'),
        ("s3://audit-lake/ecr'", "contains a quotation mark, '"),
        ("\N{LEFT DOUBLE QUOTATION MARK}s3://audit-lake", "contains a quotation mark"),
        ("s3://$BUCKET/ecr", "contains $"),
        ("${LAKE}", "contains $"),
        ("/srv/$(hostname)", "contains $"),
        ("s3://<bucket>/lake", "contains <"),
        ("{{ var.value.lake }}", "contains {{"),
        ("/srv/zero\N{ZERO WIDTH SPACE}width", "contains an invisible character, '\\u200b'"),
        ("/srv/no-break\N{NO-BREAK SPACE}space", "contains an invisible character, '\\xa0'"),
        ("s3://audit-lake/a\ts3://other", "contains an invisible character, '\\t'"),
        ("arn:aws:s3:::audit-lake/ecr/*", "did you mean s3://audit-lake/ecr?"),
        ("arn:aws-us-gov:s3:::audit-lake", "did you mean s3://audit-lake?"),
        ("arn:aws:iam::111111111111:role/x", "starts with 'arn:'"),
        ("s3:/audit-lake/ecr", "did you mean s3://audit-lake/ecr?"),
        ("s3:audit-lake/ecr", "did you mean s3://audit-lake/ecr?"),
        ("s3a://audit-lake/ecr", "did you mean s3://audit-lake/ecr?"),
        ("S3N://audit-lake/ecr", "did you mean s3://audit-lake/ecr?"),
        ("https://audit-lake.s3.amazonaws.com/ecr/", "did you mean s3://audit-lake/ecr?"),
        ("https://audit-lake.s3.cn-north-1.amazonaws.com.cn", "did you mean s3://audit-lake?"),
        ("https://s3.eu-west-1.amazonaws.com/audit-lake/ecr", "did you mean s3://audit-lake/ecr?"),
        ("https://minio.example/audit-lake", "starts with 'https:', which is neither s3:// nor file:///"),
        ("gs://audit-lake/ecr", "starts with 'gs:'"),
        ("lake:old", "for a folder, give ./lake:old"),
        ("C:\\audit\\lake", "contains a backslash, as paths of Windows do"),
        ("C:/audit/lake", "is a path of Windows"),
        ("file://lake", "is not file:/// and an absolute path"),
        ("file:/srv/lake", "is not file:/// and an absolute path"),
        ("file:///srv/my%20lake", "without percent signs"),
        ("s3://", "names the bucket ''"),
        ("s3://Upper_Case/ecr", "names the bucket 'Upper_Case'"),
        ("s3://key:secret@audit-lake/ecr", "names the bucket 'key:secret@audit-lake'"),
        ("s3://arn:aws:s3:eu-west-1:111111111111:accesspoint/lake", "names the bucket 'arn:aws:s3:eu-west-1:"),
        ("s3://audit-lake//ecr", "has nothing, '.' or '..' between two slashes"),
        ("s3://audit-lake/../ecr", "has nothing, '.' or '..' between two slashes"),
        ("s3://audit-lake/ecr?region=eu-west-1", "contains '?'"),
        ("~nobody-here/lake", "starts with '~nobody-here', whose home folder is unknown"),
    ],
)
def test_an_invalid_place_is_refused_by_name(text: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        place_of(text)
    assert fault in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_uri_of_a_place() -> None:
    assert uri_of("s3://audit-lake/with space") == "s3://audit-lake/with space"
    assert uri_of("/srv/with space") == "file:///srv/with%20space"


def test_a_place_is_opened_as_a_folder_or_a_bucket(tmp_path: Path) -> None:
    opened = open_place("s3://audit-lake/a/b")
    assert isinstance(opened, S3)
    assert (opened.bucket, opened.url) == ("audit-lake", "s3://audit-lake/a/b")
    assert open_place(str(tmp_path)) == tmp_path


def test_a_folder_and_s3_are_distinguished_in_one_place() -> None:
    """The text of settings is read by place.py, and what opens a place is chosen by lake/s3.py. A key is on no S3: its
    setting refuses that (settings/evidence.py)."""
    files = (ROOT / "plugins" / "ecr_audit").rglob("*.py")
    used = {path.name for path in files if re.search(r"\bis_on_s3\(|[^.]\bS3\((?!\))", path.read_text("utf-8"))}
    assert used == {"place.py", "s3.py", "evidence.py"}
