SELECT
    epoch_ms(m.month) AS month,
    coalesce(t.fixed, 0) AS fixed,
    coalesce(t.started_unknown, 0) AS started_unknown,
    t.median_days,
    t.p90_days
FROM (SELECT date_trunc('month', newest_night()) AS month UNION SELECT month FROM time_to_fix) AS m
LEFT JOIN time_to_fix AS t
    ON t.month = m.month
    AND t.policy_id = getvariable('policy')
    AND is_chosen_scope(t.scope_type, t.scope_id)
WHERE is_chosen_night(m.month)
    AND (t.month IS NOT NULL OR m.month = date_trunc('month', newest_night()));
