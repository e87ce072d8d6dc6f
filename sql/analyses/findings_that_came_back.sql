-- Which repositories were fixed and became incompliant again, and how often? A recreated one was not fixed.
WITH stretches AS (
    SELECT
        *,
        lag(ended_by) OVER (PARTITION BY policy_id, repository_arn ORDER BY started) AS previous_ended_by
    FROM findings_history
)

SELECT
    max(s.account_name) AS account_name,
    s.region,
    s.repository_name,
    count(*) AS times_broken_again,
    min(s.started) AS first_broken_again,
    max(s.started) AS last_broken_again,
    sum(s.days) AS days_open_since
FROM stretches AS s
JOIN changes AS c
    ON c.policy_id = s.policy_id
    AND c.repository_arn = s.repository_arn
    AND c.snapshot_date = s.started
    AND c.change = 'reopened'
WHERE s.policy_id = $policy_id
    AND s.previous_ended_by = 'fixed'
GROUP BY s.repository_arn, s.region, s.repository_name
ORDER BY times_broken_again DESC, days_open_since DESC, s.region, s.repository_name;
