-- How fast are findings fixed, by unit and month? Days count where the audit saw the finding begin.
SELECT
    month,
    scope_id,
    fixed,
    started_unknown,
    median_days,
    p90_days
FROM time_to_fix
WHERE policy_id = $policy_id
    AND scope_type IN ('organization', 'ou')
ORDER BY month, scope_type = 'organization' DESC, scope_id;
