"""The audit from discovery to verdicts, without Airflow, for `tools.py`: verdicts.json in the folder it is run in."""

from __future__ import annotations

import json
import sys
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins"))

from ecr_audit.hidden_modules import hidden_modules

NIGHT = date(2026, 11, 22)
POLICY = "/ce/ca/aws/ecr/repository-image-tag-immutability-strict"

# As in the audit's processes, see ecr_audit/own_process.py.
with hidden_modules("numpy", "pandas"):
    from ecr_audit.aws.session import connect_hub
    from ecr_audit.catalog import load_catalog
    from ecr_audit.compliance import evaluate, roll_up
    from ecr_audit.inventory.commit import commit_snapshot
    from ecr_audit.inventory.plan import ScanScope, cut_batches, discover
    from ecr_audit.inventory.scan import scan_batch
    from ecr_audit.lake.lake import Lake
    from ecr_audit.lake.schemas import POLICY_OUTPUT
    from ecr_audit.settings import SQL_ROOT, load_settings

    settings, hub, catalog = load_settings(), connect_hub(), load_catalog(SQL_ROOT)
    lake = Lake(settings.lake_root)
    plan = discover(lake, hub, snapshot_date=NIGHT, run_id="benchmark", scope=ScanScope())
    began = time.perf_counter()
    for batch in cut_batches(lake, hub, plan.plan_id, settings, ScanScope()):
        scan_batch(lake, hub, plan.plan_id, batch, settings)
    scan_seconds = time.perf_counter() - began
    commit_snapshot(lake, plan.plan_id)
    evaluate(lake, catalog, NIGHT, owner_tags=settings.owner_tags)
    commit, _ = roll_up(lake, catalog, NIGHT)
    output = lake.read_table(commit, POLICY_OUTPUT).to_pylist()
    verdicts = {row["object_id"]: row["status"] == "INCOMPLIANT" for row in output if row["policy_id"] == POLICY}
    Path("verdicts.json").write_text(json.dumps({"verdicts": verdicts, "scan_seconds": scan_seconds}))
