-- outcomes: one row per outcome of tonight's scan: its number of targets and accounts, and its errors.
-- key: outcome.  from: scan_targets.
SELECT
    outcome,
    count(*) AS targets,
    count(DISTINCT account_id) AS accounts,
    count(DISTINCT region) AS regions,
    list(DISTINCT error_code ORDER BY error_code) FILTER (WHERE error_code IS NOT NULL) AS error_codes
FROM scan_targets
GROUP BY outcome
