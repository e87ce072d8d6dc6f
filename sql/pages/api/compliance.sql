-- compliance: one row per night: how a scope fared under a policy, the newest night first.
-- key: snapshot_date.  from: compliance_daily.
FROM compliance_daily
WHERE policy_id = $policy
    AND scope_type = $scope_type
    AND scope_id = $scope_id
ORDER BY snapshot_date DESC
