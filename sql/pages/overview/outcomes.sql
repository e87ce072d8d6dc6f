-- outcomes: one row per outcome of tonight's scan: how many targets have it, and where.
-- key: outcome.  from: scan_targets.
SELECT
    outcome,
    count(*) AS targets,
    count(DISTINCT account_id) AS accounts,
    list(DISTINCT region ORDER BY region) AS regions
FROM scan_targets
GROUP BY outcome
ORDER BY targets DESC, outcome
