-- ou_compliance: one row per organizational unit and policy: the compliance of its repositories and of those in the
-- units below it.
-- key: ou_path, ou_id, policy_id.  from: lake.scope_compliance, lake.accounts.
-- accounts counts those in it and below, whatever their state.
WITH accounts AS (
    SELECT
        unnest(units_of(ou_path)) AS ou_path,
        unnest(unit_ids) AS ou_id,
        account_id
    FROM lake.accounts
),

units AS (
    SELECT
        ou_path,
        ou_id,
        count(*) AS accounts
    FROM accounts
    GROUP BY ALL
)

SELECT
    s.snapshot_date,
    u.ou_path,
    u.ou_id,
    u.accounts,
    s.* EXCLUDE (snapshot_date, scope_type, scope_id, ou_id)
FROM lake.scope_compliance AS s
JOIN units AS u ON u.ou_path = s.scope_id AND u.ou_id IS NOT DISTINCT FROM s.ou_id
WHERE s.scope_type = 'ou'
