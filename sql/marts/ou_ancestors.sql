-- ou_ancestors: one row per organizational unit and unit that it lies in at any depth, itself among them.
-- key: ou_path, ancestor_path.  from: lake.scope_compliance_history.
-- Joined by ou_path, it finds what is in a unit and in those below it. Units of past nights are here, too, by the paths
-- that they had then.
WITH units AS (
    SELECT DISTINCT scope_id AS ou_path
    FROM lake.scope_compliance_history
    WHERE scope_type = 'ou'
)

SELECT
    ou_path,
    unnest(units_of(ou_path)) AS ancestor_path
FROM units
ORDER BY ou_path, ancestor_path
