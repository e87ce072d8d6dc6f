SELECT date_diff('day', snapshot_date, current_date) AS days_ago
FROM publication;
