-- compliance: one row per night and scope: how it fared under a policy, the newest night first; a NULL parameter matches
-- everything.
-- key: snapshot_date, scope_id.  from: compliance_daily.
FROM compliance_daily
WHERE policy_id = $policy
    AND scope_type = $scope_type
    AND ($scope_id IS NULL OR scope_id = $scope_id)
    AND ($since IS NULL OR snapshot_date >= $since)
    AND ($until IS NULL OR snapshot_date <= $until)
ORDER BY snapshot_date DESC, scope_id
