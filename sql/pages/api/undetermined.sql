-- undetermined: one row per reason why objects are UNDETERMINED under a policy.
-- key: reason, facet, cause.  from: undetermined_reasons.
SELECT *
FROM undetermined_reasons
WHERE policy_id = $policy
ORDER BY objects DESC, reason, facet, cause
