-- severity: fail
-- stage: inventory
-- The targets are all accounts x all regions, each with exactly one outcome: a missing one was not scanned.
WITH planned AS (
    SELECT
        a.account_id,
        r.region
    FROM (SELECT DISTINCT account_id FROM lake.scan_targets) AS a
    CROSS JOIN (SELECT DISTINCT region FROM lake.scan_targets) AS r
),

outcomes AS (
    SELECT
        account_id,
        region,
        count(outcome) AS outcomes
    FROM lake.scan_targets
    GROUP BY ALL
)

SELECT
    account_id,
    region,
    coalesce(outcomes, 0) AS outcomes
FROM planned
LEFT JOIN outcomes USING (account_id, region)
WHERE outcomes IS DISTINCT FROM 1
