-- recreated: one row per repository that was deleted and created again since the previous evaluated snapshot.
-- key: object_id.  from: lake.repositories, lake.previous_repositories.
-- It is another repository under an old name: the status history of its namesake is not its own.
WITH young AS (
    -- A recreated repository is younger than the last scan of its namesake, give or take a day of clock skew: that
    -- spares comparing the many that are older.
    SELECT
        repository_arn,
        created_at
    FROM lake.repositories
    WHERE created_at > (SELECT min(collected_at) - INTERVAL 1 DAY FROM lake.previous_repositories)
)

SELECT y.repository_arn AS object_id
FROM young AS y
JOIN lake.previous_repositories AS p USING (repository_arn)
WHERE y.created_at <> p.created_at
