"""Accounts and regions in the settings that AWS does not have: reported, and the night goes on without them.

An account leaves the organization and a region may be misspelt: neither must cost the rest of the night. The names are
kept with the commit of the inventory, and published in the table `publication`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from ecr_audit import text
from ecr_audit.text import plural


@dataclass(frozen=True)
class Missing:
    """The names, as the settings have them."""

    accounts: Sequence[str] = ()
    regions: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.accounts or self.regions)

    def sentences(self) -> list[str]:
        """A sentence for each setting with unknown names."""
        found = (
            ("ECR_AUDIT_ACCOUNTS", self.accounts, "account", "the organization"),
            ("ECR_AUDIT_REGIONS", self.regions, "region", "ECR in this partition"),
        )
        return [
            f"{setting} names {plural(len(names), kind)} that {owner} does not have:"
            f" {', '.join(names)}. All others are audited; remove {'it' if len(names) == 1 else 'them'} from it."
            for setting, names, kind, owner in found
            if names
        ]


def named_in_vain(names: Iterable[str], known: Container[str]) -> list[str]:
    """Those of the names that are not known, each once, in their order."""
    return [name for name in dict.fromkeys(names) if name not in known]


def not_an_account(account_id: str, known: Iterable[str]) -> str:
    """How it is reported that the organization does not have an account."""
    return f"'{account_id}' is not an account of this organization.{nearest(account_id, known)}"


def not_a_region(name: str, known: Iterable[str], partition: str) -> str:
    """The message for a region without ECR, with the valid ones."""
    return (
        f"'{name}' is not a region of ECR in partition {partition}.{nearest(name, known)} "
        "Give a list such as 'us-east-1,eu-west-1', or 'all'."
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the nearest name; empty without a similar one."""
    near = text.nearest(name, known)
    return f" Nearest: {near}." if near else ""
