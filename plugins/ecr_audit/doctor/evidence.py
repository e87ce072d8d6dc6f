"""Evidence: whether nights can be sealed and signed, and whether the newest one in the lake is as it was committed."""

from __future__ import annotations

from ecr_audit.aws.permissions import Option, Role
from ecr_audit.doctor.permissions import actions_of, listed
from ecr_audit.doctor.results import Result, Status, fail, ok
from ecr_audit.evidence.settings import open_log, signer_of
from ecr_audit.lake.lake import open_lake
from ecr_audit.lake.storage import LakeError
from ecr_audit.settings import Settings
from ecr_audit.text import plural
from ecr_audit.untrusted_files import sha256_of

EVIDENCE = "Evidence"
LAKE_FILES = "Files of the lake"

_ACTIONS = actions_of(Role.HUB, (Option.EVIDENCE, Option.EVIDENCE_KEY)) - actions_of(Role.HUB, ())
_PROBE = b"A probe of the doctor's.\n"


def check_evidence(settings: Settings) -> Result:
    """Sign a probe, and write a small file into the log's place, where it stays: nothing of it is ever deleted."""
    fix = (
        f"Allow {listed(_ACTIONS)} to the hub: EvidenceBucket, EvidencePrefix and EvidenceKeyArn of its role"
        " (Terraform: evidence_bucket, evidence_prefix, evidence_key_arn); or name another place or key in"
        " ECR_AUDIT_EVIDENCE and ECR_AUDIT_EVIDENCE_KEY (docs/evidence.md)."
    )
    try:
        signer = signer_of(settings)
        if signer and not signer.public.accepts(signer.sign(_PROBE), _PROBE):
            return fail(EVIDENCE, "a signature of the key is not accepted by its public half", fix)
        evidence = open_log(settings)
        evidence.write("doctor.txt", _PROBE)
        names, foreign = evidence.names()
    except Exception as error:  # the key's, KMS's, the disk's or S3's
        return fail(EVIDENCE, f"{settings.evidence} cannot be written or signed: {error}", fix)
    if foreign:
        return fail(
            EVIDENCE, f"{evidence.root}/log holds {foreign[0]!r}, which is not an entry", "Find out who put it there."
        )
    signed = f"signed by {signer.public.id[:16]}…" if signer else "unsigned"
    entries = f"{plural(len(names), 'entry', 'entries')}{f', the newest of {names[-1].day}' if names else ''}"
    if signer:
        return ok(EVIDENCE, f"{evidence.root}: written, {signed}; {entries}")
    found = f"{evidence.root}: written, {signed}; {entries}"
    return Result(
        Status.WARN, EVIDENCE, found, "Set ECR_AUDIT_EVIDENCE_KEY: unsigned, whoever can write can rewrite all."
    )


def check_lake_files(settings: Settings) -> Result | None:
    """Hash the files of the newest night, and compare with its commits; None where these noted no hashes."""
    lake = open_lake(settings)
    compared, changed = 0, []
    for stage in ("inventory", "compliance"):
        dates = lake.snapshot_dates(stage)
        commit = lake.read_commit(stage, dates[-1]) if dates else None
        for name, committed in (commit.hashes if commit else {}).items():
            if commit is None or not any(name in names for names in commit.files.values()):
                continue  # thinned
            compared += 1
            try:
                with lake.storage.local(name) as path:
                    if sha256_of(path) != committed:
                        changed.append(name)
            except LakeError as error:
                changed.append(f"{name}: {error}")
    if changed:
        found = f"{plural(len(changed), 'file')} of {lake.root} changed since they were committed"
        fix = "Find out by whom, and restore them; or scan and evaluate the night again."
        return Result(Status.FAIL, LAKE_FILES, found, fix, changed)
    return ok(LAKE_FILES, f"{plural(compared, 'file')} as committed, the newest night's") if compared else None
