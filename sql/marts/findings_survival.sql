-- findings_survival: one row per policy, scope (the organization, an OU with those below it, an owner, or untagged) and
-- period in which findings began: how long they stay open, including those that are open today.
-- key: policy_id, scope_type, scope_id, period.  from: published.findings_history, lake.accounts.
-- period is the month in which a finding began, or `all`. Half of the findings are fixed within median_days, and nine in
-- ten within p90_days, by the estimator of Kaplan and Meier (1958): findings that are open, were deleted or left with
-- their account count as not fixed for as long as they were observed. NULL means that this share has not been reached.
-- Only findings whose start is known are estimated from; started_unknown counts the others. Units and untagged are as
-- in time_to_fix.
WITH units AS (
    SELECT
        ou_id,
        any_value(ou_path) AS ou_path
    FROM lake.accounts
    WHERE ou_id IS NOT NULL
    GROUP BY ou_id
),

stretches AS (
    SELECT
        policy_id,
        coalesce(u.ou_path, h.ou_path) AS ou_path,
        CASE WHEN owner_source = 'account' THEN 'untagged' ELSE 'owner' END AS owner_type,
        CASE WHEN owner_source = 'account' THEN account_id ELSE owner END AS owner,
        strftime(started, '%Y-%m') AS month,
        days,
        coalesce(ended_by, 'open') AS ended_by,
        started_known,
        count(*) AS findings
    FROM published.findings_history AS h
    LEFT JOIN units AS u USING (ou_id)
    GROUP BY ALL
),

scoped AS (
    SELECT
        'organization' AS scope_type,
        'organization' AS scope_id,
        * EXCLUDE (ou_path, owner_type, owner)
    FROM stretches
    UNION ALL
    SELECT
        'ou' AS scope_type,
        unnest(units_of(ou_path)) AS scope_id,
        * EXCLUDE (ou_path, owner_type, owner)
    FROM stretches
    UNION ALL
    SELECT
        owner_type AS scope_type,
        owner AS scope_id,
        * EXCLUDE (ou_path, owner_type, owner)
    FROM stretches
),

by_day AS (
    SELECT
        policy_id,
        scope_type,
        scope_id,
        coalesce(month, 'all') AS period,
        days,
        coalesce(sum(findings) FILTER (WHERE started_known), 0)::BIGINT AS watched,
        coalesce(sum(findings) FILTER (WHERE started_known AND ended_by = 'fixed'), 0)::BIGINT AS fixed,
        coalesce(sum(findings) FILTER (WHERE started_known AND ended_by = 'open'), 0)::BIGINT AS still_open,
        coalesce(sum(findings) FILTER (WHERE NOT started_known), 0)::BIGINT AS started_unknown
    FROM scoped
    GROUP BY GROUPING SETS (
        (policy_id, scope_type, scope_id, days),
        (policy_id, scope_type, scope_id, month, days)
    )
),

at_risk AS (
    SELECT
        *,
        sum(watched) OVER (
            PARTITION BY policy_id, scope_type, scope_id, period
            ORDER BY days
            ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        ) AS findings_at_risk
    FROM by_day
),

surviving AS (
    SELECT
        *,
        product(1 - fixed / nullif(findings_at_risk, 0)) OVER (
            PARTITION BY policy_id, scope_type, scope_id, period
            ORDER BY days
        ) AS share_open
    FROM at_risk
)

SELECT
    policy_id,
    scope_type,
    scope_id,
    period,
    sum(watched)::BIGINT AS findings,
    sum(fixed)::BIGINT AS fixed,
    sum(still_open)::BIGINT AS still_open,
    sum(started_unknown)::BIGINT AS started_unknown,
    -- Shares are products of fractions: a half may come out a hair above one half.
    min(days) FILTER (WHERE share_open <= 0.5 + 1e-9) AS median_days,
    min(days) FILTER (WHERE share_open <= 0.1 + 1e-9) AS p90_days
FROM surviving
GROUP BY ALL
