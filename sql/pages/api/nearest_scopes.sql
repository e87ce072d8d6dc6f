-- nearest_scopes: one row per scope of a type that was judged on some night, those first that are most like the given one;
-- at most 5.
-- key: scope_id.  from: compliance_daily.
SELECT DISTINCT scope_id
FROM compliance_daily
WHERE scope_type = $scope_type
ORDER BY scope_id <> $scope_id, jaro_winkler_similarity(lower(scope_id), lower($scope_id)) DESC, scope_id
LIMIT 5
