-- nights: one row per night due, the newest first.
-- key: snapshot_date.  from: nights.
SELECT *
FROM nights
ORDER BY snapshot_date DESC
