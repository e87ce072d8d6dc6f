-- compliance: one row per night and scope under a policy, the newest night first; a NULL parameter matches
-- everything.
-- key: snapshot_date, scope_id.  from: compliance_daily, ou_compliance.
-- A unit that has a path tonight is followed by its id, through nights in which it had another path. One that is not there
-- tonight is found by its id, or by a path that it had.
WITH tonight AS (
    SELECT any_value(ou_id) AS ou_id
    FROM ou_compliance
    WHERE ou_path = $scope_id
)

SELECT compliance_daily.*
FROM compliance_daily
CROSS JOIN tonight
WHERE policy_id = $policy
    AND scope_type = $scope_type
    AND CASE
        WHEN $scope_id IS NULL THEN TRUE
        WHEN compliance_daily.ou_id IS NOT NULL AND tonight.ou_id IS NOT NULL THEN compliance_daily.ou_id = tonight.ou_id
        ELSE $scope_id IN (scope_id, compliance_daily.ou_id)
    END
    AND ($since IS NULL OR snapshot_date >= $since)
    AND ($until IS NULL OR snapshot_date <= $until)
ORDER BY snapshot_date DESC, scope_id
