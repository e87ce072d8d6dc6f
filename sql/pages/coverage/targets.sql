-- targets: one row per target of the given accounts, with its outcome.
-- key: account_id, region.  from: scan_targets.
SELECT
    account_id,
    region,
    outcome
FROM scan_targets
WHERE list_contains($account_ids, account_id)
