-- owners: one row per owner, and per account with repositories that no tag names an owner of, under a policy.
-- key: scope_type, scope_id.  from: owner_compliance.
FROM owner_compliance
WHERE policy_id = $policy
ORDER BY owner, scope_type, scope_id
