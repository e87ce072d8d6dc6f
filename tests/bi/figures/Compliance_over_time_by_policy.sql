SELECT
    epoch_ms(snapshot_date) AS snapshot_date,
    split_part(policy_id, '/', -1) AS series,
    compliance_percent AS value
FROM daily
WHERE is_chosen_scope(scope_type, scope_id)
    AND is_chosen_night(snapshot_date);
