SELECT
    epoch_ms(snapshot_date::TIMESTAMP) AS snapshot_date,
    CASE kind WHEN 'moved' THEN 'overwritten' WHEN 'moved_back' THEN 'moved back' ELSE 'overwritten though immutable' END AS series,
    count(*) AS value
FROM tag_moves
LEFT JOIN newest_paths USING (ou_id)
WHERE is_chosen(newest_path)
    AND is_chosen_account(account_name, account_id)
    AND is_chosen_night(snapshot_date)
GROUP BY ALL;
