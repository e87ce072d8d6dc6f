-- severity: warn
-- Targets that should have been read and were not: what they hold is not known today.
SELECT
    account_id,
    region,
    outcome,
    error_code
FROM lake.scan_targets
WHERE is_unread(outcome)
ORDER BY account_id, region
