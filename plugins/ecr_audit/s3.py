"""Objects below a place on S3, `s3://bucket/prefix`: what is written there, and removed.

Reading Parquet is pyarrow's, which cannot say how an object is to be encrypted; so writing is boto3's. Credentials,
endpoint and region are those of the environment; a bucket in another region is found there.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

from ecr_audit.place import SCHEME

# What a failed call may raise.
S3_ERRORS = (BotoCoreError, ClientError, S3UploadFailedError)

# DeleteObjects takes so many keys a call (Amazon S3 API Reference).
_DELETED_AT_ONCE = 1000


class S3:
    """A place on S3. Names are relative to it. All methods raise S3_ERRORS."""

    def __init__(self, url: str, encryption: str | None = None) -> None:
        """`encryption`: AES256, aws:kms, or the ARN of a KMS key; None: the bucket's default, which S3 always has."""
        self.url = url.rstrip("/")
        self.bucket, _, self._prefix = self.url.removeprefix(SCHEME).partition("/")
        self._encryption = encryption

    @cached_property
    def _client(self) -> Any:
        return boto3.client("s3")

    @cached_property
    def region(self) -> str | None:
        """The bucket's region; None when it is not told, as of a bucket that is not there."""
        try:
            headers = self._client.head_bucket(Bucket=self.bucket)["ResponseMetadata"]["HTTPHeaders"]
        except ClientError as refused:
            headers = refused.response["ResponseMetadata"].get("HTTPHeaders", {})
        return headers.get("x-amz-bucket-region")  # type: ignore[no-any-return]

    def put(self, local: Path, name: str) -> None:
        """Write an object, whole or not at all, in place of what has its name."""
        self._client.upload_file(str(local), self.bucket, self._key(name), ExtraArgs=self._how_encrypted())

    def get(self, name: str, at_most: int | None = None) -> bytes | None:
        """What an object holds, `at_most` so many bytes of it; None when there is none."""
        try:
            return bytes(self._client.get_object(Bucket=self.bucket, Key=self._key(name))["Body"].read(at_most))
        except self._client.exceptions.NoSuchKey:
            return None

    def download(self, name: str, local: Path) -> None:
        """Copy an object to a local file."""
        self._client.download_file(self.bucket, self._key(name), str(local))

    def names(self, prefix: str) -> list[str]:
        """Names of the objects that begin so. A store may be late to list what is new: nothing may depend on it."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self._key(prefix))
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return [key.removeprefix(self._key("")) for key in keys]

    def delete(self, names: list[str]) -> None:
        """Remove objects; those that are not there do not matter."""
        for begin in range(0, len(names), _DELETED_AT_ONCE):
            keys = [{"Key": self._key(name)} for name in names[begin : begin + _DELETED_AT_ONCE]]
            answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True})
            if faults := answer.get("Errors"):
                raise ClientError({"Error": {"Code": faults[0]["Code"], "Message": str(faults)}}, "DeleteObjects")

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _how_encrypted(self) -> dict[str, Any]:
        if self._encryption is None:
            return {}
        if self._encryption.startswith("arn:"):
            return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._encryption}
        return {"ServerSideEncryption": self._encryption}
