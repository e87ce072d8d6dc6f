-- severity: warn
-- Waivers in force that cover nothing: the scope may be misspelt, its unit renamed, or the waived findings have been
-- fixed. unit_is_known: whether an account is in the unit that the waiver names; NULL when it names none.
SELECT
    waiver_id,
    policy_id,
    ou_path,
    ou_id,
    CASE
        WHEN ou_path IS NULL AND ou_id IS NULL THEN NULL
        ELSE coalesce(ou_path IN (SELECT scope_id FROM marts.scope_compliance WHERE scope_type = 'ou'), FALSE)
    END AS unit_is_known,
    expires
FROM marts.waivers
WHERE status = 'unmatched'
