-- young: one row per object that was created since the previous evaluated snapshot; none when there is no such snapshot.
-- key: object_id.  from: staging.objects, lake.previous_policy_run.
-- Its findings began after it was created, so the day that they were found is the day that they began.
SELECT object_id
FROM staging.objects
WHERE created_at >= (SELECT max(snapshot_date) FROM lake.previous_policy_run)
