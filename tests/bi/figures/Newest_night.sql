SELECT epoch_ms(snapshot_date) AS newest_night
FROM publication;
