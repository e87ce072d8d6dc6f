-- How many findings came and went each week, and how many were open at its end? Findings of the first night count as
-- its new ones.
WITH moves AS (
    SELECT
        date_trunc('week', started)::DATE AS week,
        'came' AS how
    FROM findings_history
    WHERE policy_id = $policy_id
    UNION ALL
    SELECT
        date_trunc('week', ended)::DATE AS week,
        ended_by AS how
    FROM findings_history
    WHERE policy_id = $policy_id
        AND ended IS NOT NULL
),

weeks AS (
    SELECT
        week,
        count(*) FILTER (WHERE how = 'came') AS came,
        count(*) FILTER (WHERE how = 'fixed') AS fixed,
        count(*) FILTER (WHERE how = 'disappeared') AS deleted,
        count(*) FILTER (WHERE how = 'account_closed') AS account_closed
    FROM moves
    GROUP BY week
)

SELECT
    *,
    came - fixed - deleted - account_closed AS net,
    sum(came - fixed - deleted - account_closed) OVER (ORDER BY week) AS open_at_the_end
FROM weeks
ORDER BY week;
