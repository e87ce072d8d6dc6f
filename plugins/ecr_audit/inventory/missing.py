"""Accounts and regions that are not audited because of the settings: what these leave out, and what AWS does not have.

An account leaves the organization and a region may be misspelt: neither must cost the rest of the night. All these
names are kept with the commit of the inventory, and published in the table `publication`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from ecr_audit import text
from ecr_audit.settings import Settings
from ecr_audit.text import plural

# Names in a sentence; the table `publication` has all.
NAMED = 12


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


@dataclass(frozen=True)
class LeftOut:
    """Accounts of the organization and regions of the partition that the settings leave out of the audit."""

    accounts: Sequence[str] = ()
    regions: Sequence[str] = ()

    @classmethod
    def by(cls, settings: Settings, accounts: Iterable[str], regions: Iterable[str]) -> LeftOut:
        """Those of the accounts and regions that the settings do not name, in order."""
        return cls(
            sorted(set(accounts) - set(settings.accounts)) if settings.accounts else (),
            sorted(set(regions) - set(settings.regions)) if settings.regions else (),
        )

    def sentences(self) -> list[str]:
        """A sentence for each setting that leaves something out."""
        found = (("ECR_AUDIT_ACCOUNTS", self.accounts, "account"), ("ECR_AUDIT_REGIONS", self.regions, "region"))
        return [
            f"{setting} leaves out {plural(len(names), kind)}: {', '.join(names[:NAMED])}"
            f"{f' and {len(names) - NAMED:,} more' if len(names) > NAMED else ''}. Not read, and not part of coverage."
            for setting, names, kind in found
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
