"""The table of the stage security_hub: how importing findings into each account's Security Hub ended."""

from __future__ import annotations

import pyarrow as pa

from ecr_audit.lake.tables import TIMESTAMP, LakeTable

# A row for each account and region that had findings to import in the last 90 nights, carried on from night to night.
SECURITY_HUB_IMPORTS = LakeTable(
    "security_hub_imports",
    pa.schema(
        [
            ("account_id", pa.string()),
            ("region", pa.string()),
            # The night whose findings were imported last, or were to be; the other columns are about that night.
            ("night", pa.date32()),
            # A value of security_hub/outcomes.py.
            ("outcome", pa.string()),
            ("findings", pa.int64()),
            ("imported", pa.int64()),
            ("refused", pa.int64()),
            ("error_code", pa.string()),
            ("error_message", pa.string()),
            ("tried_at", TIMESTAMP),
            # The last night in which each finding that was due was imported, or refused; null: none.
            ("imported_night", pa.date32()),
        ]
    ),
    ("account_id", "region"),
    since=7,
)
