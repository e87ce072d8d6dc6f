-- owner_compliance: one row per owner and policy: the compliance of the owner's repositories.
-- key: scope_type, scope_id, policy_id.  from: lake.scope_compliance, lake.accounts.
-- scope_type is owner where tags name one, and untagged for an account's repositories without an owner tag: their
-- owner is the account's name, which another account or a tag may have too. Neither has targets, and so no coverage.
SELECT
    s.snapshot_date,
    s.scope_type,
    s.scope_id,
    CASE WHEN s.scope_type = 'untagged' THEN coalesce(nullif(a.account_name, ''), s.scope_id) ELSE s.scope_id END AS owner,
    s.* EXCLUDE (snapshot_date, scope_type, scope_id, ou_id, coverage_percent)
FROM lake.scope_compliance AS s
LEFT JOIN lake.accounts AS a ON a.account_id = CASE s.scope_type WHEN 'untagged' THEN s.scope_id END
WHERE s.scope_type IN ('owner', 'untagged')
