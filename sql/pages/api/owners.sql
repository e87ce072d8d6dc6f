-- owners: one row per owner, and per account with repositories without an owner tag, under a policy.
-- key: scope_type, scope_id.  from: owner_compliance.
SELECT *
FROM owner_compliance
WHERE policy_id = $policy
ORDER BY owner, scope_type, scope_id
