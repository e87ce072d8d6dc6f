"""The parts of an assessment result, made of the rows of sql/exports.

Stay the same from night to night: ids of activities, components, inventory items, findings and risks. New each night:
those of observations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from ecr_audit.catalog.models import Condition
from ecr_audit.publish.oscal.values import PLACE, export_uid, filled, markup, props, title
from ecr_audit.text import percent, plural

Row = Mapping[str, Any]
Part = dict[str, Any]

# The component that the audit itself is.
TOOL = export_uid("component", "ecr-audit")

_COUNTS = ("compliant", "incompliant", "waived", "undetermined", "inapplicable", "disappeared")

_REMARKS = {
    "pass": "All that the policies look at was seen, and complies.",
    "fail": "There are findings without a waiver.",
}


@dataclass(frozen=True)
class Night:
    """The night of a document: what ids and times depend on."""

    compliance_commit: str
    started: datetime
    evaluated: datetime

    def observation(self, *of: str) -> str:
        """The id of an observation of this night."""
        return export_uid("observation", self.compliance_commit, *of)


def timestamp(value: datetime) -> str:
    """2026-11-23T02:13:04+00:00."""
    return value.astimezone(UTC).isoformat(timespec="seconds")


def control_id(section_id: str) -> str:
    """/frameworks/nist-sp-800-53-r5/cm/08/01 -> cm-8.1, as the catalogs of NIST name it."""
    family, *numbers = section_id.split("/")[3:]
    return f"{family}-{'.'.join(str(int(number)) for number in numbers)}"


def reviewed_controls(section_ids: Iterable[str]) -> Part:
    """The controls that something is about."""
    controls = [{"control-id": control_id(section_id)} for section_id in section_ids]
    return {"control-selections": [{"include-controls": controls}]}


def activities(policies: Iterable[Row], conditions: Mapping[str, list[Condition]]) -> Iterator[Part]:
    """The policies. `conditions`: by the hash of their policy; others have no steps."""
    for policy in policies:
        steps = [
            {
                "uuid": export_uid("step", policy["policy_id"], str(condition.index)),
                "title": f"Condition {condition.index}: {condition.status}",
                "description": markup(condition.when),
            }
            for condition in conditions.get(policy["policy_hash"], [])
        ]
        yield {
            "uuid": export_uid("activity", policy["policy_id"]),
            "title": title(policy["contextual_name"]),
            "description": markup(policy["description"]),
            "props": [
                {"name": "method", "value": "TEST"},
                *props(policy_id=policy["policy_id"], policy_hash=policy["policy_hash"])["props"],
            ],
            **filled(steps=steps),
            "related-controls": reviewed_controls(policy["section_ids"]),
        }


def components(accounts: Iterable[Row], program_version: str) -> Iterator[Part]:
    """The audit, and each account."""
    yield {
        "uuid": TOOL,
        "type": "software",
        "title": "ECR audit",
        "description": "Reads the settings of all Amazon ECR repositories of an AWS Organization each night.",
        **props(version=program_version),
        "status": {"state": "operational"},
    }
    for account in accounts:
        yield {
            "uuid": _account_uid(account["account_id"]),
            "type": "system",
            "title": title(account["account_name"] or account["account_id"]),
            "description": f"The AWS account {account['account_id']}.",
            **props(
                account_id=account["account_id"],
                organizational_unit=account["ou_path"] or None,
                coverage=percent(account["coverage_percent"]),
                # Others were read this night.
                last_read=account["last_read_date"] if _is_dark(account) else None,
            ),
            "status": {"state": "operational" if account["state"] == "ACTIVE" else "other"},
        }


def inventory_items(objects: Iterable[Row], account_id: str) -> Iterator[Part]:
    """The repositories and registries of an account."""
    for object_id, row in {row["object_id"]: row for row in objects}.items():
        yield {
            "uuid": export_uid("inventory-item", object_id),
            "description": markup(object_id),
            **props(arn=object_id, region=row["region"], owner=row["owner"]),
            "implemented-components": [{"component-uuid": _account_uid(account_id)}],
        }


def account_observations(night: Night, policies: Mapping[str, Row], verdicts: Iterable[Row]) -> Iterator[Part]:
    """One per policy and account. With 10,000 accounts these are most of a document: what is 0 is not written."""
    for row in verdicts:
        policy, account_id = policies[row["policy_id"]], row["account_id"]
        yield _observation(
            night,
            night.observation(row["policy_id"], account_id),
            f"{policy['contextual_name']}: account {account_id}",
            f"{_counted(row)}{_coverage(row)}.",
            {"subject-uuid": _account_uid(account_id), "type": "component"},
            policy_id=row["policy_id"],
            **{name: row[name] or None for name in _COUNTS},
            compliance=percent(row["compliance_percent"]),
            coverage=percent(row["coverage_percent"]),
        )


def object_observations(night: Night, policies: Mapping[str, Row], objects: Iterable[Row]) -> Iterator[Part]:
    """One per policy, and repository or registry."""
    for row in objects:
        yield _observation(
            night,
            night.observation(row["policy_id"], row["object_id"]),
            f"{policies[row['policy_id']]['contextual_name']}: {row['status']}",
            row["current_state_message"],
            {"subject-uuid": export_uid("inventory-item", row["object_id"]), "type": "inventory-item"},
            policy_id=row["policy_id"],
            status=row["status"],
            observed=str(row["observed"]).lower(),
            incompliant_since=row["incompliant_start_date"],
            waiver_id=row["waiver_id"],
        )


def _observation(night: Night, uid: str, name: str, description: str, subject: Part, **values: Any) -> Part:
    return {
        "uuid": uid,
        "title": title(name),
        "description": markup(description),
        **props(**values),
        "methods": ["TEST"],
        "origins": [{"actors": [{"type": "tool", "actor-uuid": TOOL}]}],
        "subjects": [subject],
        "collected": timestamp(night.started),
    }


def risks(policies: Iterable[Row], waivers: Iterable[Row], accounts: Iterable[Row]) -> Iterator[Part]:
    """One per policy with open findings, per waiver, and per account that was not wholly seen."""
    for policy in policies:
        if policy["findings"]:
            advice = policy["remediation_message"]
            yield {
                "uuid": _risk_uid("policy", policy["policy_id"]),
                "title": title(policy["contextual_name"]),
                "description": f"{plural(policy['findings'], 'finding')}{_waived(policy)}; the oldest is of"
                f" {policy['oldest_finding']}.",
                "statement": markup(policy["description"]),
                **props(policy_id=policy["policy_id"], severity=policy["severity"]),
                "status": "open" if policy["findings"] > policy["waived"] else "deviation-approved",
                **filled(remediations=_remediations(policy["policy_id"], advice) if advice else []),
            }
    for waiver in waivers:
        expired = waiver["status"] == "expired"
        yield {
            "uuid": _risk_uid("waiver", waiver["waiver_id"]),
            "title": title(f"Waiver {waiver['waiver_id']}"),
            "description": f"{'Expired' if expired else 'Accepted'}:"
            f" {plural(waiver['matched_findings'], 'finding')} in its scope.",
            "statement": markup(waiver["reason"]),
            **props(
                waiver_id=waiver["waiver_id"],
                policy_id=waiver["policy_id"],
                owner=waiver["owner"],
                ticket=waiver["ticket"],
                approved_by=waiver["approved_by"],
                created=waiver["created"],
            ),
            "status": "closed" if expired else "deviation-approved",
            "deadline": timestamp(datetime.combine(waiver["expires"], time(), UTC)),
        }
    for account in accounts:
        if _is_dark(account):
            yield {
                "uuid": _risk_uid("account", account["account_id"]),
                "title": f"Account {account['account_id']} was not wholly seen",
                "description": f"Its coverage is {percent(account['coverage_percent'])}.",
                "statement": "Repositories that could not be read may be incompliant without a finding.",
                **props(
                    account_id=account["account_id"],
                    coverage=percent(account["coverage_percent"]),
                    incomplete_since=account["first_day_not_seen"],
                ),
                "status": "open",
            }


def _remediations(policy_id: str, advice: str) -> list[Part]:
    return [
        {
            "uuid": export_uid("remediation", policy_id),
            "lifecycle": "recommendation",
            "title": "How to fix it",
            "description": markup(advice),
        }
    ]


def findings(
    sections: Iterable[Row],
    policies: Mapping[str, Row],
    observations: Mapping[str, list[str]],
    waivers: Iterable[Row],
    accounts: Iterable[Row],
) -> Iterator[Part]:
    """One per section with something to judge. `observations`: their ids by policy."""
    dark = [_risk_uid("account", account["account_id"]) for account in accounts if _is_dark(account)]
    waived = [(waiver["policy_id"], _risk_uid("waiver", waiver["waiver_id"])) for waiver in waivers]
    for section in sections:
        # A policy of a sub-section may be held by that alone, in a framework of other sections.
        held = [policy_id for policy_id in section["policy_ids"] if policy_id in policies]
        related = [
            *(_risk_uid("policy", each) for each in held if policies[each]["findings"]),
            *(risk for policy_id, risk in waived if policy_id in held),
            *dark,
        ]
        yield {
            "uuid": export_uid("finding", section["section_id"]),
            "title": title(section["title"]),
            "description": f"{_counted(section)}, under {plural(len(held), 'policy', 'policies')}.",
            **props(
                section_id=section["section_id"],
                **{name: section[name] for name in _COUNTS},
                compliance=percent(section["compliance_percent"]),
                compliance_with_waivers=percent(section["compliance_percent_with_waivers"]),
                coverage=percent(section["coverage_percent"]),
                oldest_finding=section["oldest_finding"],
            ),
            "target": {
                "type": "statement-id",
                "target-id": f"{control_id(section['section_id'])}_smt",
                "status": {
                    "state": section["status"],
                    "reason": section["reason"],
                    "remarks": _REMARKS.get(section["reason"]) or _other(section),
                },
            },
            **filled(
                related_observations=[{"observation-uuid": each} for policy in held for each in observations[policy]],
                related_risks=[{"risk-uuid": each} for each in related],
            ),
        }


def _other(section: Row) -> str:
    if section["incompliant"]:
        return "All findings are waived."
    if section["compliant"]:
        return "Not everything could be evaluated. What could be complies."
    return "Nothing could be evaluated."


def _counted(row: Row) -> str:
    """3 compliant, 4 incompliant (1 waived), 20 undetermined. What is 0 is left out."""
    waived = {"incompliant": _waived(row)}
    given = [f"{row[name]:,} {name}{waived.get(name, '')}" for name in _COUNTS if name != "waived" and row[name]]
    return ", ".join(given) or "nothing evaluated"


def _coverage(row: Row) -> str:
    """; coverage 81.0 %. Nothing where all was seen."""
    return "" if row["coverage_percent"] == 100 else f"; coverage {percent(row['coverage_percent'])}"


def _waived(row: Row) -> str:
    return f" ({row['waived']:,} waived)" if row["waived"] else ""


def _is_dark(account: Row) -> bool:
    return account["coverage_percent"] is not None and account["coverage_percent"] < 100


def _account_uid(account_id: str) -> str:
    return export_uid("component", "account", account_id)


def _risk_uid(*of: str) -> str:
    return export_uid("risk", *of)


def evidence_log(head: str) -> Part:
    """The log that nights are sealed into: the hash of its newest entry, to compare."""
    return {
        "uuid": export_uid("evidence-log", head),
        "title": "Evidence log",
        "description": "The newest entry of the log that evaluated nights are sealed into: the hash of its payload.",
        "rlinks": [{"href": f"{PLACE}/evidence/{head}", "hashes": [{"algorithm": "SHA-256", "value": head}]}],
    }


def evidence_links(resources: Iterable[Part]) -> list[Part]:
    """Links to evidence, for a result: its observations all have the same."""
    text = "The published rows that the observations were counted from."
    return [{"href": f"#{resource['uuid']}", "rel": "evidence", "text": text} for resource in resources]


def evidence(commit: str, checksums: str, names: Iterable[str]) -> list[Part]:
    """The published files that the numbers are counted from, each with its SHA-256, of the lines of SHA256SUMS."""
    digests = {name: digest for digest, _, name in (each.partition("  ") for each in checksums.splitlines())}
    return [
        {
            "uuid": export_uid("evidence", commit, name),
            "title": name,
            "description": "A table of the publication, as Parquet.",
            "rlinks": [
                {
                    "href": name,
                    "media-type": "application/vnd.apache.parquet",
                    "hashes": [{"algorithm": "SHA-256", "value": digests[name]}],
                }
            ],
        }
        for name in names
        if name in digests
    ]
