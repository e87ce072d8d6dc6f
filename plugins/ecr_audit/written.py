"""Values as people write them in settings and YAML files: read where the meaning is certain, else refused by name.

Each function returns the value as the audit uses it, or raises ValueError; its message names the value and, where that
can be known, what was meant.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

ACCOUNT_ID = re.compile(r"[0-9]{12}")
REGION_NAME = re.compile(r"[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}")
EMAIL = re.compile(r"[^@\s,;<>\":]+@[^@\s,;<>\":]+")

# IAM allows a path of 512 characters, its slashes included, and a name of 64 (IAM API Reference, CreateRole).
ROLE_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}")
ROLE_PATH = re.compile(r"/([A-Za-z0-9_+=,.@-]+/)*")
_LONGEST_ROLE_PATH = 512


def plain(text: str) -> str:
    """The text of an environment variable without the blanks around it.

    `docker --env-file`, unlike a shell, leaves quotation marks and comments in the value: these are refused.
    """
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`":
        raise ValueError(f"is in quotation marks, which are part of the value here; did you mean {text[1:-1].strip()}?")
    if found := re.search(r"\s#", text):
        raise ValueError(f"contains a comment, which is part of the value here; did you mean {text[: found.start()]}?")
    unseen = [character for character in text if not character.isprintable() and not character.isspace()]
    if unseen:
        raise ValueError(f"contains an invisible character, {unseen[0]!a}")
    return text


def account_id(text: str) -> str:
    """An account id, with or without the hyphens that the AWS console shows: 1234-5678-9012."""
    bare = text.replace("-", "") if re.fullmatch(r"[0-9]{4}-[0-9]{4}-[0-9]{4}", text) else text
    if ACCOUNT_ID.fullmatch(bare):
        return bare
    # Spreadsheets, and YAML that reads numbers, drop the zeros in front.
    hint = f"; did you mean {bare:0>12}?" if re.fullmatch(r"[0-9]{9,11}", bare) else ""
    raise ValueError(f"'{text}' is not an account id of 12 digits{hint}")


def region_name(text: str) -> str:
    """The name of a region, in any case."""
    name = text.lower()
    if REGION_NAME.fullmatch(name):
        return name
    # An availability zone has a letter more.
    likely = re.sub(r"([0-9])[a-z]$", r"\1", re.sub(r"[_\s]+", "-", name))
    hint = f"; did you mean {likely}?" if REGION_NAME.fullmatch(likely) else ""
    raise ValueError(f"'{text}' is not the name of a region{hint}")


def email_address(text: str) -> str:
    """An e-mail address, without the name of its owner."""
    if EMAIL.fullmatch(text):
        return text
    inside = re.search(rf"<({EMAIL.pattern})>", text)
    raise ValueError(f"'{text}' is not an e-mail address{f'; did you mean {inside[1]}?' if inside else ''}")


def role_name(text: str) -> str:
    """A role's name, with its path in front where it has one, as an ARN has both after `role/`: security/ecr-audit."""
    if arn := re.fullmatch(r"arn:aws[a-z-]*:iam::[0-9]*:role/(.+)", text):
        meant = arn[1] if "/" not in arn[1] else f"/{arn[1]}"
        raise ValueError(f"is an ARN, which belongs to one account; did you mean {meant}?")
    if text.startswith("role/"):
        raise ValueError(f"starts with role/, as the end of an ARN does; did you mean {text.removeprefix('role')}?")
    path, _, name = f"/{text.removeprefix('/')}".rpartition("/")
    if not ROLE_NAME.fullmatch(name):
        raise ValueError(
            f"names the role '{name}', and a role's name has 1 to 64 letters, digits or _+=,.@- characters"
        )
    if not ROLE_PATH.fullmatch(f"{path}/") or len(path) >= _LONGEST_ROLE_PATH:
        raise ValueError(
            f"has the path '{path}/', and a path has up to 512 letters, digits or _+=,.@- between single slashes"
        )
    return f"{path}/{name}".removeprefix("/")


def share(text: str) -> str:
    """A share from 0 to 1, which may be given as a percentage: 95%."""
    if percent := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?%", text):
        return str(Decimal(percent[1]) / 100)
    likely = text.replace(",", ".", 1)
    if re.fullmatch(r"0\.[0-9]+", likely) and likely != text:
        raise ValueError(f"has a decimal comma; did you mean {likely}?")
    if re.fullmatch(r"[1-9][0-9]?(\.[0-9]+)?|100", text) and float(text) > 1:
        raise ValueError(f"is over 1; did you mean {float(text) / 100:g}, or {text}%?")
    return text


def iso_date(text: str) -> date:
    """A date as YYYY-MM-DD. Stricter than pydantic, which takes a plain number for seconds since 1970."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text}' is not a date such as 2026-01-31") from None
