-- waiver_units: one row per waiver in force whose unit, named by its path, is not the unit of the night before: renamed or
-- empty, so that the waiver covers nothing there any longer, or another unit that has the path now (ou_id is not NULL).
-- key: waiver_id.  from: waivers, compliance_daily, publication.
-- Reported once, in the night in which it is found. At most $shown; `all_waivers` counts them.
WITH nights AS (
    SELECT
        snapshot_date AS tonight,
        (
            SELECT max(d.snapshot_date)
            FROM compliance_daily AS d
            WHERE d.snapshot_date < p.snapshot_date
        ) AS before
    FROM publication AS p
),

units AS (
    SELECT DISTINCT
        d.snapshot_date,
        d.scope_id AS ou_path,
        d.ou_id
    FROM compliance_daily AS d
    JOIN nights AS n ON d.snapshot_date IN (n.tonight, n.before)
    WHERE d.scope_type = 'ou'
)

SELECT
    w.waiver_id,
    w.owner,
    w.ticket,
    w.ou_path,
    u.ou_id,
    count(*) OVER () AS all_waivers
FROM waivers AS w
CROSS JOIN nights AS n
JOIN units AS b ON b.ou_path = w.ou_path AND b.snapshot_date = n.before
LEFT JOIN units AS u ON u.ou_path = w.ou_path AND u.snapshot_date = n.tonight
WHERE w.ou_id IS NULL
    AND w.days_left > 0
    AND (u.ou_path IS NULL OR u.ou_id <> b.ou_id)
ORDER BY w.waiver_id
LIMIT $shown
