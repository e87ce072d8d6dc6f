-- time_to_fix: one row per policy, scope (the organization, an OU with those below it, an owner, or untagged) and month in
-- which findings were fixed: how long they had been open.
-- key: policy_id, scope_type, scope_id, month.  from: published.findings_history, lake.accounts.
-- Only fixed findings count, in the month of the fix, with the units and the owner of the last day: those that
-- disappeared were not fixed. The days are those of findings with a known start; started_unknown counts the others,
-- which are older than the first scan. Open findings are in findings_survival. A unit that was renamed since has
-- today's path. untagged: an account's repositories without an owner tag.
WITH units AS (
    SELECT
        ou_id,
        any_value(ou_path) AS ou_path
    FROM lake.accounts
    WHERE ou_id IS NOT NULL
    GROUP BY ou_id
),

fixed AS (
    SELECT
        policy_id,
        coalesce(u.ou_path, h.ou_path) AS ou_path,
        CASE WHEN owner_source = 'account' THEN 'untagged' ELSE 'owner' END AS owner_type,
        CASE WHEN owner_source = 'account' THEN account_id ELSE owner END AS owner,
        date_trunc('month', ended)::DATE AS month,
        days,
        started_known
    FROM published.findings_history AS h
    LEFT JOIN units AS u USING (ou_id)
    WHERE ended_by = 'fixed'
),

scoped AS (
    SELECT
        'organization' AS scope_type,
        'organization' AS scope_id,
        * EXCLUDE (ou_path, owner_type, owner)
    FROM fixed
    UNION ALL
    SELECT
        'ou' AS scope_type,
        unnest(units_of(ou_path)) AS scope_id,
        * EXCLUDE (ou_path, owner_type, owner)
    FROM fixed
    UNION ALL
    SELECT
        owner_type AS scope_type,
        owner AS scope_id,
        * EXCLUDE (ou_path, owner_type, owner)
    FROM fixed
)

SELECT
    policy_id,
    scope_type,
    scope_id,
    month,
    count(*) AS fixed,
    count(*) FILTER (WHERE NOT started_known) AS started_unknown,
    -- Interpolated between two findings where they fall between them.
    round(quantile_cont(days, 0.5) FILTER (WHERE started_known), 1) AS median_days,
    round(quantile_cont(days, 0.9) FILTER (WHERE started_known), 1) AS p90_days
FROM scoped
GROUP BY ALL
