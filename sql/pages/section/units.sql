-- units: one row per organizational unit, in the order of the tree, with its compliance in a section.
-- key: ou_path.  from: section_compliance.
-- Units without evaluated repositories are left out: the organization's page has them.
SELECT
    scope_id AS ou_path,
    len(string_split(scope_id, '/')) - 1 AS depth,
    compliant,
    incompliant,
    undetermined,
    compliance_percent,
    coverage_percent
FROM section_compliance
WHERE section_id = $section_id
    AND scope_type = 'ou'
    AND snapshot_date = (SELECT snapshot_date FROM publication)
    AND compliant + incompliant + undetermined > 0
ORDER BY string_split(scope_id, '/')
