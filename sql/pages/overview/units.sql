-- units: one row per organizational unit with incompliant repositories, the lowest compliance first.
-- key: ou_path.  from: ou_compliance.
-- The root is left out: it is the whole organization.
SELECT
    ou_path,
    accounts,
    compliant,
    incompliant,
    compliance_percent,
    coverage_percent
FROM ou_compliance
WHERE policy_id = $policy_id
    AND incompliant > 0
    AND contains(ou_path, '/')
ORDER BY compliance_percent, incompliant DESC, ou_path
LIMIT $shown
