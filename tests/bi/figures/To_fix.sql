SELECT
    epoch_ms(n.snapshot_date) AS snapshot_date,
    c.incompliant - c.waived AS to_fix
FROM nights AS n
LEFT JOIN daily AS c
    ON c.snapshot_date = n.snapshot_date
    AND c.policy_id = getvariable('policy')
    AND is_chosen_scope(c.scope_type, c.scope_id);
