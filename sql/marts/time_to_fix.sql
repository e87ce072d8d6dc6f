-- time_to_fix: one row per policy, scope (the organization, or an OU with those below it) and month in which findings
-- were fixed: how long they had been open.
-- key: policy_id, scope_type, scope_id, month.  from: lake.ended_findings_history.
-- Only what was fixed counts, in the month of the fix and in the units that the account was in then: what disappeared
-- was not repaired. median_days and p90_days are interpolated between two findings where they fall between them.
WITH fixed AS (
    SELECT
        policy_id,
        ou_path,
        date_trunc('month', snapshot_date)::DATE AS month,
        date_diff('day', incompliant_start_date, snapshot_date) AS days
    FROM lake.ended_findings_history
    WHERE ended_by = 'fixed'
),

scoped AS (
    SELECT
        policy_id,
        'organization' AS scope_type,
        'organization' AS scope_id,
        month,
        days
    FROM fixed
    UNION ALL
    SELECT
        policy_id,
        'ou' AS scope_type,
        unnest(units_of(ou_path)) AS scope_id,
        month,
        days
    FROM fixed
)

SELECT
    policy_id,
    scope_type,
    scope_id,
    month,
    count(*) AS fixed,
    quantile_cont(days, 0.5) AS median_days,
    quantile_cont(days, 0.9) AS p90_days
FROM scoped
GROUP BY ALL
