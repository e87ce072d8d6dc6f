-- young: one row per repository that was created since the previous evaluated snapshot; none when there is no such snapshot.
-- key: object_id.  from: lake.repositories, lake.previous_policy_run.
-- Its findings began after it was created, so the day that they were found is the day that they began.
SELECT repository_arn AS object_id
FROM lake.repositories
WHERE created_at >= (SELECT max(snapshot_date) FROM lake.previous_policy_run)
