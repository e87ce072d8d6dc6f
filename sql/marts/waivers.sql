-- waivers: one row per waiver created by the snapshot's date, including expired ones, with its effect.
-- key: waiver_id.  from: catalog.waivers, staging.waiver_matches, staging.account_scopes.
-- A waiver limited to a unit names it by its path, or by its id (ou_id), which holds when the unit is renamed; ou_path is
-- then the unit's path on the snapshot's date, and NULL when no account is in a unit of that id.
-- status, the first of these that holds:
--   expired       no longer counts, from the day `expires` on; matched_findings are those it left uncovered
--   unmatched     in force, without findings in its scope
--   expires_soon  in force for at most 30 days
--   active        in force
WITH matches AS (
    SELECT
        waiver_id,
        count(*) AS matched_findings
    FROM staging.waiver_matches
    GROUP BY waiver_id
),

units AS (
    SELECT
        ou_id,
        any_value(scope_id) AS ou_path
    FROM staging.account_scopes
    WHERE scope_type = 'ou'
    GROUP BY ou_id
)

SELECT
    w.* REPLACE (CASE WHEN w.ou_id IS NULL THEN w.ou_path ELSE u.ou_path END AS ou_path),
    CASE
        WHEN w.expires <= $snapshot_date THEN 'expired'
        WHEN m.matched_findings IS NULL THEN 'unmatched'
        WHEN date_diff('day', $snapshot_date, w.expires) <= 30 THEN 'expires_soon'
        ELSE 'active'
    END AS status,
    date_diff('day', $snapshot_date, w.expires) AS days_left,
    coalesce(m.matched_findings, 0) AS matched_findings
FROM catalog.waivers AS w
LEFT JOIN matches AS m USING (waiver_id)
LEFT JOIN units AS u ON u.ou_id = w.ou_id
WHERE w.created <= $snapshot_date
