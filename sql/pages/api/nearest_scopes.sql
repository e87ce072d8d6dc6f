-- nearest_scopes: one row per scope of a type that was evaluated on some night, those first that are most like the
-- given one; at most 5. A unit may be given by its id.
-- key: scope_id.  from: compliance_daily.
SELECT scope_id
FROM (
    SELECT scope_id FROM compliance_daily WHERE scope_type = $scope_type
    UNION
    SELECT ou_id FROM compliance_daily WHERE scope_type = $scope_type AND ou_id IS NOT NULL
)
ORDER BY scope_id <> $scope_id, jaro_winkler_similarity(lower(scope_id), lower($scope_id)) DESC, scope_id
LIMIT 5
