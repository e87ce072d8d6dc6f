-- coverage: the one row with the organization's coverage, tonight and in the night published before.
-- from: publication, compliance_daily, scan_targets.
-- previous_snapshot_date and the columns on it are NULL on the first night. missing_accounts and missing_regions are
-- those in the settings that AWS does not have.
WITH previous AS (
    SELECT max(snapshot_date) AS snapshot_date
    FROM compliance_daily
    WHERE snapshot_date < (SELECT snapshot_date FROM publication)
)

SELECT
    p.snapshot_date,
    p.coverage_percent,
    p.missing_accounts,
    p.missing_regions,
    previous.snapshot_date AS previous_snapshot_date,
    (
        SELECT any_value(d.coverage_percent)
        FROM compliance_daily AS d
        WHERE d.snapshot_date = previous.snapshot_date
            AND d.scope_type = 'organization'
    ) AS previous_coverage_percent,
    count(*) FILTER (WHERE is_collected(t.outcome)) AS collected,
    count(*) FILTER (WHERE is_countable(t.outcome)) AS countable
FROM publication AS p
CROSS JOIN previous
LEFT JOIN scan_targets AS t ON TRUE
GROUP BY ALL
