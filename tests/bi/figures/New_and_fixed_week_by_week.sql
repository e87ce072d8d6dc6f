SELECT
    epoch_ms(date_trunc('week', snapshot_date)) AS snapshot_date,
    change AS series,
    count(*) AS value
FROM changes
WHERE change IN ('new', 'reopened', 'fixed', 'disappeared')
    AND policy_id = getvariable('policy')
    AND is_chosen(ou_path)
    AND is_chosen_account(account_name, account_id)
    AND is_chosen_night(snapshot_date)
GROUP BY ALL;
