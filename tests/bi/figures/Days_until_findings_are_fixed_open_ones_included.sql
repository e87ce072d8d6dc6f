SELECT
    period,
    findings,
    fixed,
    still_open,
    started_unknown,
    coalesce(median_days::VARCHAR, 'not reached') AS median_days,
    coalesce(p90_days::VARCHAR, 'not reached') AS p90_days
FROM findings_survival
WHERE policy_id = getvariable('policy')
    AND is_chosen_scope(scope_type, scope_id);
