-- owners: one row per owner: how their repositories fare under a policy.
-- key: owner.  from: owner_compliance.
FROM owner_compliance
WHERE policy_id = $policy
ORDER BY owner
