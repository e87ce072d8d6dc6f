-- Within how many days is half of the findings fixed, and nine in ten? Open ones count; empty: not reached yet.
SELECT
    scope_type,
    scope_id,
    findings,
    fixed,
    still_open,
    started_unknown,
    median_days,
    p90_days
FROM findings_survival
WHERE policy_id = $policy_id
    AND period = 'all'
ORDER BY scope_type = 'organization' DESC, scope_type, findings DESC, scope_id;
