-- units: one row per organizational unit, in the order of the tree, with the units below it counted in.
-- key: ou_path.  from: ou_compliance.
SELECT
    ou_path,
    len(string_split(ou_path, '/')) - 1 AS depth,
    accounts,
    compliant,
    incompliant,
    undetermined,
    waived,
    compliance_percent,
    coverage_percent
FROM ou_compliance
WHERE policy_id = $policy_id
ORDER BY string_split(ou_path, '/')
