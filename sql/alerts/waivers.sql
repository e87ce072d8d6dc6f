-- waivers: one row per waiver that came, since the night before, within 30 or 7 days of its end, or to it.
-- key: waiver_id.  from: waivers, compliance_daily, publication.
-- So each is told three times, and not every night; also when nights were missed, for what passed a threshold
-- meanwhile is told. On the first night all are told that end within 30 days. One that covers nothing is no news: of
-- those that have ended, what counts is the findings that they left uncovered. At most $shown; `all_waivers` counts them.
WITH nights AS (
    SELECT
        snapshot_date,
        (
            SELECT max(d.snapshot_date)
            FROM compliance_daily AS d
            WHERE d.snapshot_date < p.snapshot_date
        ) AS previous
    FROM publication AS p
)

SELECT
    w.waiver_id,
    w.owner,
    w.ticket,
    w.expires,
    w.days_left,
    w.matched_findings,
    count(*) OVER () AS all_waivers
FROM waivers AS w
CROSS JOIN nights AS n
WHERE w.matched_findings > 0
    AND w.days_left <= 30
    AND (
        n.previous IS NULL
        OR len([t FOR t IN [30, 7, 0] IF w.days_left <= t AND date_diff('day', n.previous, w.expires) > t]) > 0
    )
ORDER BY w.expires, w.waiver_id
LIMIT $shown
