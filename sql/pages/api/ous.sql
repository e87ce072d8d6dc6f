-- ous: one row per organizational unit, in the order of the tree, with those below it counted in.
-- key: ou_path.  from: ou_compliance.
SELECT *
FROM ou_compliance
WHERE policy_id = $policy
ORDER BY string_split(ou_path, '/')
