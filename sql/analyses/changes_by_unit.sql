-- Why did the number of incompliant repositories of each unit change over the last 90 days? For accounts directly in
-- it: then + came + seen_again + moved_in - fixed - deleted - lost_sight - moved_out = now.
WITH nights AS (
    SELECT
        min(snapshot_date) AS first_night,
        max(snapshot_date) AS last_night
    FROM policy_run
    WHERE policy_id = $policy_id
        AND snapshot_date >= (SELECT snapshot_date - 90 FROM publication)
),

ends AS (
    SELECT
        h.ou_id,
        CASE WHEN d.snapshot_date = n.first_night THEN d.incompliant ELSE 0 END AS incompliant_then,
        CASE WHEN d.snapshot_date = n.last_night THEN d.incompliant ELSE 0 END AS incompliant_now
    FROM nights AS n
    JOIN compliance_daily AS d ON d.snapshot_date IN (n.first_night, n.last_night)
    LEFT JOIN account_history AS h
        ON h.account_id = d.scope_id
        AND d.snapshot_date BETWEEN h.from_date AND coalesce(h.to_date, 'infinity')
    WHERE d.scope_type = 'account'
        AND d.policy_id = $policy_id
),

changed AS (
    SELECT c.*
    FROM nights AS n
    JOIN changes AS c ON c.snapshot_date > n.first_night AND c.snapshot_date <= n.last_night
    WHERE c.policy_id = $policy_id
),

counted AS (
    SELECT ou_id, 'then' AS what, incompliant_then AS repositories FROM ends
    UNION ALL
    SELECT ou_id, 'now' AS what, incompliant_now AS repositories FROM ends
    UNION ALL
    SELECT ou_id, change || ' in' AS what, 1 AS repositories FROM changed WHERE status = 'INCOMPLIANT'
    UNION ALL
    SELECT
        CASE WHEN change = 'moved' THEN previous_ou_id ELSE ou_id END AS ou_id,
        change || ' out' AS what,
        1 AS repositories
    FROM changed
    WHERE previous_status = 'INCOMPLIANT'
),

units AS (
    SELECT
        ou_id,
        max(ou_path) FILTER (WHERE to_date IS NULL) AS ou_path
    FROM account_history
    GROUP BY ou_id
)

SELECT
    c.ou_id,
    max(u.ou_path) AS ou_path,
    coalesce(sum(repositories) FILTER (WHERE what = 'then'), 0) AS incompliant_then,
    count(*) FILTER (WHERE what IN ('new in', 'reopened in')) AS came,
    count(*) FILTER (WHERE what = 'seen_again in') AS seen_again,
    count(*) FILTER (WHERE what = 'moved in') AS moved_in,
    count(*) FILTER (WHERE what = 'fixed out') AS fixed,
    count(*) FILTER (WHERE what = 'disappeared out') AS deleted,
    count(*) FILTER (WHERE what = 'lost_sight out') AS lost_sight,
    count(*) FILTER (WHERE what = 'moved out') AS moved_out,
    coalesce(sum(repositories) FILTER (WHERE what = 'now'), 0) AS incompliant_now
FROM counted AS c
LEFT JOIN units AS u ON u.ou_id = c.ou_id
GROUP BY c.ou_id
ORDER BY incompliant_now DESC, c.ou_id;
