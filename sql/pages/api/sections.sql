-- sections: one row per section and how it fares tonight in a scope, in the order of the frameworks; of what is NULL, any.
-- key: section_id.  from: section_compliance.
FROM section_compliance
WHERE snapshot_date = (SELECT snapshot_date FROM publication)
    AND scope_type = $scope_type
    AND scope_id = $scope_id
    AND ($framework IS NULL OR framework_id = $framework)
    AND (NOT $linked OR policies > 0)
ORDER BY framework_id, position
