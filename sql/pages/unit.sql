-- unit: the path tonight of the organizational unit of an id.
-- key: ou_id.  from: ou_compliance.
SELECT DISTINCT
    ou_id,
    ou_path
FROM ou_compliance
WHERE ou_id = $ou_id
