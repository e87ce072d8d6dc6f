-- waivers: one row per waiver that came, since the night before, within 30 or 7 days of its end, or to it.
-- key: waiver_id.  from: waivers, compliance_daily, publication.
-- So each is reported three times, not every night; also when nights were missed, since a threshold passed
-- meanwhile is reported. The first night reports all that end within 30 days. One that covers nothing is left out: for
-- expired ones, the findings that they left uncovered count. At most $shown; `all_waivers` counts them.
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
