WITH moves AS (
    SELECT
        snapshot_date,
        change AS series,
        policy_id,
        account_name,
        account_id,
        ou_id
    FROM changes
    WHERE change IN ('new', 'reopened')
    UNION ALL
    SELECT
        ended AS snapshot_date,
        replace(replace(ended_by, 'disappeared', 'deleted'), '_', ' ') AS series,
        policy_id,
        account_name,
        account_id,
        ou_id
    FROM findings_history
    WHERE ended_by IS NOT NULL
)

SELECT
    epoch_ms(date_trunc('week', snapshot_date)) AS snapshot_date,
    series,
    count(*) AS value
FROM moves
LEFT JOIN newest_paths USING (ou_id)
WHERE policy_id = getvariable('policy')
    AND is_chosen(newest_path)
    AND is_chosen_account(account_name, account_id)
    AND is_chosen_night(snapshot_date)
GROUP BY ALL;
