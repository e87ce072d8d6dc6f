-- account_compliance: one row per account and policy: the compliance of its repositories.
-- key: account_id, policy_id.  from: lake.scope_compliance, lake.accounts.
-- Accounts without repositories have zeros, and a compliance_percent of NULL. Accounts that have left are included
-- as long as they have verdicts, without a name.
SELECT
    s.snapshot_date,
    s.scope_id AS account_id,
    a.account_name,
    a.state,
    a.ou_id,
    a.ou_path,
    s.* EXCLUDE (snapshot_date, scope_type, scope_id, ou_id)
FROM lake.scope_compliance AS s
LEFT JOIN lake.accounts AS a ON a.account_id = s.scope_id
WHERE s.scope_type = 'account'
