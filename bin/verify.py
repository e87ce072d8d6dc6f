"""Verifies sealed nights from the log of evidence, or from a bundle, alone; exit code 1 if anything is not as sealed.

Neither the lake nor a publication is read. Without a date, the newest entry is verified; the chain always as a whole.
`make verify DATE=2026-10-31` calls this in the right environment.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path

# First: without it, a start outside make would end with a traceback.
import startup  # noqa: F401  # isort: skip
from ecr_audit.errors import FinalError
from ecr_audit.evidence.bundle import opened_bundle
from ecr_audit.evidence.log import EvidenceError, EvidenceLog
from ecr_audit.evidence.proof import Proof
from ecr_audit.evidence.report import print_verification
from ecr_audit.evidence.settings import keys_to_verify, open_log
from ecr_audit.evidence.verification import verify
from ecr_audit.lake.storage import LakeError
from ecr_audit.settings import load_data_folder, load_settings
from ecr_audit.terminal import date_argument, open_console, print_error


def main() -> int:
    """Verify, print a table, and write the result as JSON; returns the exit code."""
    given = _arguments()
    first, last = (given.date, given.date) if given.date else (given.first, given.last)
    console = open_console()
    try:
        with ExitStack() as held:
            settings = None if given.bundle else load_settings()
            sampled = None
            if settings:
                evidence: EvidenceLog = open_log(settings)
            else:
                evidence, sample = held.enter_context(opened_bundle(given.bundle))
                sampled = sample.nights
                first, last = first or sample.first, last or sample.last
            keys = keys_to_verify(evidence, given.key, settings)
            proof = Proof(given.repository) if given.repository else None
            outcome = verify(evidence, keys, first, last, sampled=sampled, on_night=proof)
        print_verification(console, outcome)
        if proof:
            console.print(proof.page, markup=False, soft_wrap=True)
        report = load_data_folder().absolute() / "verification.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(outcome.document(), indent=1), encoding="utf-8")
        console.print(f"[bold]JSON[/]    {report}", soft_wrap=True)
    except (FinalError, EvidenceError, LakeError, OSError) as fault:
        print_error(fault)
        return 1
    found = proof is None or proof.found
    return 0 if found and not outcome.failed else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="verify", description=__doc__)
    parser.add_argument("--date", type=date_argument, help="one night, as 2026-10-31")
    parser.add_argument("--from", dest="first", type=date_argument, help="the first night")
    parser.add_argument("--to", dest="last", type=date_argument, help="the last night")
    parser.add_argument("--repository", help="the ARN of a repository: one page that proves its verdicts")
    parser.add_argument("--bundle", type=Path, help="a zip that make evidence wrote, in place of ECR_AUDIT_EVIDENCE")
    parser.add_argument("--key", type=Path, help="the public key in PEM that signatures have to be of")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
