-- ou_compliance: one row per organizational unit and policy: how the repositories fare in it and in the units below it.
-- key: ou_path, policy_id.  from: lake.scope_compliance, lake.accounts.
-- accounts counts those in it and below, whatever their state.
WITH accounts AS (
    SELECT
        unnest(units_of(ou_path)) AS ou_path,
        account_id
    FROM lake.accounts
),

units AS (
    SELECT
        ou_path,
        count(*) AS accounts
    FROM accounts
    GROUP BY ou_path
)

SELECT
    s.snapshot_date,
    u.ou_path,
    u.accounts,
    s.* EXCLUDE (snapshot_date, scope_type, scope_id)
FROM lake.scope_compliance AS s
JOIN units AS u ON u.ou_path = s.scope_id
WHERE s.scope_type = 'ou'
