-- severity: warn
-- Waivers in force that cover nothing: the scope may be misspelt, or what was accepted has been fixed.
SELECT
    waiver_id,
    policy_id,
    expires
FROM marts.waivers
WHERE status = 'unmatched'
ORDER BY waiver_id
