-- severity: fail
-- stage: inventory
-- A collected target has as many rows as its repository_count: none was lost on the way into the lake.
WITH observed AS (
    SELECT
        account_id,
        region,
        count(*) AS repositories
    FROM lake.repositories
    WHERE observed
    GROUP BY ALL
)

SELECT
    t.account_id,
    t.region,
    t.repository_count,
    coalesce(o.repositories, 0) AS repositories
FROM lake.scan_targets AS t
LEFT JOIN observed AS o USING (account_id, region)
WHERE is_collected(t.outcome)
    AND t.repository_count IS DISTINCT FROM coalesce(o.repositories, 0)
