-- severity: warn
-- Targets that should have been read but were not: their repositories are unknown today.
SELECT
    account_id,
    region,
    outcome,
    error_code
FROM lake.scan_targets
WHERE is_unread(outcome)
