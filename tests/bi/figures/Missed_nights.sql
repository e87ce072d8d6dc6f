SELECT count(*) FILTER (WHERE missed) AS missed_nights
FROM nights
WHERE is_chosen_night(snapshot_date);
