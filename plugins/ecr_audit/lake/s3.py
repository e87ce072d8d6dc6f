"""Objects below a place on S3, `s3://bucket/prefix`, read and written by boto3 on the audit's one way to AWS.

A prefix is taken literally: it is not a URL, in which a blank would have to be escaped. A bucket in another region
is found there. boto3 is imported by the first call, so that a local lake does not need it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ecr_audit.aws.access import aws_access
from ecr_audit.aws.permissions import Option, Permission, Role
from ecr_audit.place import SCHEME, is_on_s3

_BUCKET = "arn:{partition}:s3:::{bucket}"
_WRITTEN = (f"{_BUCKET}/{{lake}}/*", f"{_BUCKET}/{{publish}}/*", f"{_BUCKET}/{{logs}}/*")

PERMISSIONS = (
    Permission((Role.HUB,), "s3:ListBucket", "to list nights and publications", (_BUCKET,), Option.BUCKET),
    # The audit itself must not be able to waive its findings.
    Permission(
        (Role.HUB,),
        "s3:GetObject",
        "the lake, publications, waivers; and Airflow's own task logs",
        (*_WRITTEN, f"{_BUCKET}/{{waivers}}/*"),
        Option.BUCKET,
    ),
    Permission(
        (Role.HUB,), "s3:PutObject", "the lake and publications; and Airflow's own task logs", _WRITTEN, Option.BUCKET
    ),
    Permission((Role.HUB,), "s3:DeleteObject", "to remove replaced files and thinned nights", _WRITTEN, Option.BUCKET),
    Permission((Role.HUB,), "s3:AbortMultipartUpload", "to abort incomplete uploads", _WRITTEN, Option.BUCKET),
    Permission((Role.HUB,), "kms:GenerateDataKey", "to write objects encrypted with the key", ("{key}",), Option.KEY),
    Permission((Role.HUB,), "kms:Decrypt", "to read objects encrypted with the key", ("{key}",), Option.KEY),
    # Without it S3 denies access to a missing object, instead of reporting it as missing.
    Permission((Role.READER,), "s3:ListBucket", "to check for publications", (_BUCKET,), Option.BUCKET),
    Permission((Role.READER,), "s3:GetObject", "publications", (f"{_BUCKET}/{{publish}}/*",), Option.BUCKET),
    Permission(
        (Role.READER,),
        "s3:GetObject",
        "Airflow's task logs, for its own pages",
        (f"{_BUCKET}/{{logs}}/*",),
        Option.LOGS,
    ),
    Permission((Role.READER,), "kms:Decrypt", "to read objects encrypted with the key", ("{key}",), Option.KEY),
)

# Maximum number of keys per DeleteObjects call (Amazon S3 API Reference).
_DELETED_AT_ONCE = 1000


class S3Error(Exception):
    """A call of S3 failed; the message is boto3's, whose exception is the cause."""


class MissingObjectError(S3Error):
    """The object does not exist."""


@contextmanager
def _s3_client() -> Iterator[Any]:
    """The client to call, and S3Error for what it raises in the block."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield aws_access().s3
    except ClientError as refused:
        # An answer to HEAD has no body, and so no other code than its status.
        missing = refused.response.get("Error", {}).get("Code") in ("NoSuchKey", "404")
        raise (MissingObjectError if missing else S3Error)(str(refused)) from refused
    except (BotoCoreError, Boto3Error) as fault:
        raise S3Error(str(fault)) from fault


def open_place(place: str, encryption: str | None = None) -> S3 | Path:
    """The file system of a location: an S3, or the path of a folder. `encryption`: see `S3`."""
    return S3(place, encryption) if is_on_s3(place) else Path(place)


@contextmanager
def local_file(place: str, at_most: int) -> Iterator[Path]:
    """The file at a location: the local one, or a temporary copy of up to `at_most` bytes from S3, for the block.

    Raises FileNotFoundError, also for a pipe, which would be waited for, and S3Error.
    """
    if not is_on_s3(place):
        if not (path := Path(place)).is_file():
            raise FileNotFoundError("the file does not exist")
        yield path
        return
    folder, _, name = place.rpartition("/")
    content = S3(folder).get(name, at_most)
    if content is None:
        raise FileNotFoundError("the object does not exist")
    with tempfile.TemporaryDirectory(prefix="ecr-audit-") as scratch:
        (copy := Path(scratch, name)).write_bytes(content)
        yield copy


class S3:
    """A place on S3. Names are relative to it. All methods raise S3Error."""

    def __init__(self, url: str, encryption: str | None = None) -> None:
        """`encryption`: AES256, aws:kms, or the ARN of a KMS key; None: the bucket's default, which S3 always has."""
        self.url = url.rstrip("/")
        self.bucket, _, self._prefix = self.url.removeprefix(SCHEME).partition("/")
        self._encryption = encryption

    def exists(self, name: str) -> bool:
        """Whether there is such an object."""
        try:
            with _s3_client() as client:
                client.head_object(Bucket=self.bucket, Key=self._key(name))
        except MissingObjectError:
            return False
        return True

    def put(self, local: Path, name: str) -> None:
        """Write an object atomically, replacing one of the same name."""
        with _s3_client() as client:
            client.upload_file(str(local), self.bucket, self._key(name), ExtraArgs=self._how_encrypted())

    def get(self, name: str, at_most: int | None = None) -> bytes | None:
        """The content of an object, up to `at_most` bytes; None if it does not exist."""
        try:
            with _s3_client() as client:
                return bytes(client.get_object(Bucket=self.bucket, Key=self._key(name))["Body"].read(at_most))
        except MissingObjectError:
            return None

    def download(self, name: str, local: Path) -> None:
        """Copy an object to a local file. Raises FileNotFoundError when there is none."""
        try:
            with _s3_client() as client:
                client.download_file(self.bucket, self._key(name), str(local))
        except MissingObjectError as missing:
            raise FileNotFoundError(f"{self.url}/{name}") from missing

    def names(self, prefix: str) -> list[str]:
        """Names of the objects with a prefix. A store may be late to list new ones: nothing may depend on it."""
        keys = [item["Key"] for page in self._pages(prefix) for item in page.get("Contents", ())]
        return [key.removeprefix(self._key("")) for key in keys]

    def sizes(self, prefix: str, after: str) -> Iterator[tuple[str, int]]:
        """Names and sizes in bytes of the objects with a prefix whose names sort after `after`, in their order."""
        for page in self._pages(prefix, StartAfter=self._key(after)):
            for item in page.get("Contents", ()):
                yield item["Key"].removeprefix(self._key("")), item["Size"]

    def has_any(self, prefix: str) -> bool:
        """Whether an object has a prefix: one call."""
        with _s3_client() as client:
            return bool(client.list_objects_v2(Bucket=self.bucket, Prefix=self._key(prefix), MaxKeys=1).get("KeyCount"))

    @contextmanager
    def stream(self, name: str) -> Iterator[BinaryIO]:
        """An object to read bit by bit within the block, in which what goes wrong with reading is an S3Error.

        Raises MissingObjectError.
        """
        with _s3_client() as client:
            answer = client.get_object(Bucket=self.bucket, Key=self._key(name))
            with closing(answer["Body"]) as body:
                yield body

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders right below a folder, whose name ends with a slash (or is empty)."""
        pages = self._pages(prefix, Delimiter="/")
        below = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", ())]
        return [folder.removeprefix(self._key(prefix)).removesuffix("/") for folder in below]

    def delete(self, names: list[str]) -> None:
        """Remove objects; those that are not there do not matter."""
        for begin in range(0, len(names), _DELETED_AT_ONCE):
            keys = [{"Key": self._key(name)} for name in names[begin : begin + _DELETED_AT_ONCE]]
            with _s3_client() as client:
                answer = client.delete_objects(Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True})
            if faults := answer.get("Errors"):
                raise S3Error(f"{faults[0]['Code']} for DeleteObjects: {faults}")

    def _pages(self, prefix: str, **options: str) -> Iterator[Any]:
        with _s3_client() as client:
            paginator = client.get_paginator("list_objects_v2")
            yield from paginator.paginate(Bucket=self.bucket, Prefix=self._key(prefix), **options)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _how_encrypted(self) -> dict[str, Any]:
        if self._encryption is None:
            return {}
        if self._encryption.startswith("arn:"):
            return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._encryption}
        return {"ServerSideEncryption": self._encryption}
