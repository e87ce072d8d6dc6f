-- account_compliance: one row per account and policy: how the account's repositories fare.
-- key: account_id, policy_id.  from: lake.scope_compliance, lake.accounts.
-- Accounts without repositories are here with zeros, and a compliance_percent of NULL; so are accounts that have left,
-- as long as something of them is known, without a name.
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
