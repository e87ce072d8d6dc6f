"""Where files are: a path of this machine or one on S3, made from the text of a setting.

`place_of` is the only way from a setting to a place, so that text meant for a bucket never names a folder here.
"""

from __future__ import annotations

import re
from pathlib import Path

SCHEME = "s3://"

# 3 to 63 characters; names with capitals or underscores, which S3 once allowed, cannot be a host's
# (Amazon S3 User Guide, "General purpose bucket naming rules").
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

# `$LAKE`, `${LAKE}` and `$(command)` that no shell expanded, `{{ template }}` and `<yours to fill in>`.
_UNEXPANDED = re.compile(r"\$|\{\{|[<>]")
# Also the curly ones of documents (U+2018 to U+201E). An apostrophe may be in a name, such as o'brien.
_QUOTES = re.compile("[\"`\u201c-\u201e]|^['\u2018\u2019]|['\u2018\u2019]$")
# A bucket as other things name it: an ARN, the S3 console's and the REST API's addresses, Hadoop's schemes.
_BUCKET_ELSEWHERE = (
    re.compile(r"arn:aws[a-z-]*:s3:::(?P<bucket>[^/:]+)(?P<key>/.*)?"),
    re.compile(r"https?://(?P<bucket>[^/]+)\.s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com(?:\.cn)?(?P<key>/.*)?"),
    re.compile(r"https?://s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com(?:\.cn)?/(?P<bucket>[^/]+)(?P<key>/.*)?"),
    re.compile(r"(?i:s3[an]?):/*(?P<bucket>[^/]+)(?P<key>/.*)?"),
)


def place_of(text: str) -> str:
    """The place that the text of a setting means: an absolute path, or s3://bucket/prefix without a slash at its end.

    `~` is expanded; a relative path starts at the working directory; file:///path means the path.
    Raises ValueError for anything else, such as another scheme, an ARN or a variable that was not expanded. Its message
    names what is wrong and, where that can be known, what was meant.
    """
    text = text.strip()
    if not text:
        raise ValueError("is empty")
    if not text.isprintable():
        [unseen, *_] = (character for character in text if not character.isprintable())
        raise ValueError(f"contains an invisible character, {unseen!a}")
    if found := _UNEXPANDED.search(text):
        raise ValueError(f"contains {found[0]}: a variable that is not expanded, or a placeholder")
    if found := _QUOTES.search(text):
        raise ValueError(f"contains a quotation mark, {found[0]}")
    if "\\" in text:
        raise ValueError("contains a backslash, as paths of Windows do")
    scheme, colon, rest = text.partition(":")
    if colon and "/" not in scheme:
        return _of_scheme(text, scheme.lower(), rest)
    try:
        return str(Path(text).expanduser().absolute())
    except RuntimeError as fault:
        raise ValueError(f"starts with '{text.partition('/')[0]}', whose home folder is unknown") from fault


def folder_of(text: str) -> Path:
    """The folder of this machine that the text of a setting means. Raises ValueError, also for a place on S3."""
    place = place_of(text)
    if is_on_s3(place):
        raise ValueError("is on S3, where only the lake and publications can be (ECR_AUDIT_LAKE, ECR_AUDIT_PUBLISH)")
    return Path(place)


def file_of(text: str) -> str:
    """The place of a file that the text of a setting means: an absolute path, or s3://bucket/key. Raises ValueError."""
    if text.endswith("/"):
        raise ValueError("ends with a slash, as a folder does")
    place = place_of(text)
    if is_on_s3(place) and place.count("/") < 3:
        raise ValueError("names a bucket, without the key of an object in it")
    return place


def trail_of(text: str) -> str:
    """The place of a trail's log files, s3://bucket/prefix, as CloudTrail was given them. Raises ValueError.

    CloudTrail itself appends AWSLogs and what is below it (AWS CloudTrail User Guide, "Getting and viewing your
    CloudTrail log files").
    """
    place = place_of(text)
    if not is_on_s3(place):
        raise ValueError("is not on S3, where CloudTrail writes log files")
    given, appended, _ = f"{place}/".partition("/AWSLogs/")
    if appended:
        raise ValueError(f"contains AWSLogs, which CloudTrail appends to a trail's prefix; did you mean {given}?")
    return place


def is_on_s3(place: str) -> bool:
    """Whether a place is on S3. Whoever reads or writes it has that from `lake.s3.open_place` and `local_file`."""
    return place.startswith(SCHEME)


def uri_of(place: str) -> str:
    """The URI of a place: s3://bucket/prefix, or file:///path."""
    return place if is_on_s3(place) else Path(place).as_uri()


def _of_scheme(text: str, scheme: str, rest: str) -> str:
    if scheme == "s3" and rest.startswith("//"):
        return f"{SCHEME}{_bucket_and_prefix(rest.removeprefix('//'))}"
    if scheme == "file" and re.match("///[^/]", rest) and "%" not in rest:
        return place_of(rest.removeprefix("//"))
    for pattern in _BUCKET_ELSEWHERE:
        if (meant := pattern.fullmatch(text)) and _BUCKET.fullmatch(meant["bucket"]):
            key = (meant["key"] or "").rstrip("/*")
            raise ValueError(f"is not the s3:// URL of a location; did you mean {SCHEME}{meant['bucket']}{key}?")
    if scheme == "file":
        raise ValueError("is not file:/// and an absolute path without percent signs")
    if re.fullmatch("[a-z]", scheme):
        raise ValueError("is a path of Windows")
    raise ValueError(f"starts with '{scheme}:', which is neither s3:// nor file:/// (for a folder, give ./{text})")


def _bucket_and_prefix(text: str) -> str:
    bucket, _, prefix = text.rstrip("/").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(
            f"names the bucket '{bucket}', and a bucket's name has 3 to 63 lower-case letters, digits, dots or hyphens"
        )
    if prefix and {"", ".", ".."} & set(prefix.split("/")):
        raise ValueError("has nothing, '.' or '..' between two slashes, which S3 takes literally")
    if found := re.search(r"[?#]", prefix):
        raise ValueError(f"contains '{found[0]}', and a place on S3 has neither parameters nor fragments")
    return f"{bucket}/{prefix}".rstrip("/")
