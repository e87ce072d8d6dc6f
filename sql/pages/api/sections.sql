-- sections: one row per section and scope, tonight, in the order of the frameworks; a NULL parameter matches
-- everything.
-- key: section_id, scope_id.  from: section_compliance.
SELECT *
FROM section_compliance
WHERE snapshot_date = (SELECT snapshot_date FROM publication)
    AND scope_type = $scope_type
    AND ($scope_id IS NULL OR scope_id = $scope_id)
    AND ($framework IS NULL OR framework_id = $framework)
    AND (NOT $linked OR policies > 0)
ORDER BY framework_id, position, scope_id
