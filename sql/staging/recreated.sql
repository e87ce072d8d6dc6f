-- recreated: one row per repository that was deleted and created anew since the previous evaluated snapshot.
-- key: object_id.  from: staging.repositories, lake.previous_repositories.
-- It is another repository under an old name: the status history of its namesake is not its own.
SELECT r.repository_arn AS object_id
FROM staging.repositories AS r
JOIN lake.previous_repositories AS p USING (repository_arn)
WHERE r.created_at <> p.created_at
    -- Follows from the line above, give or take a day of clock skew, and spares comparing repositories older than that.
    AND r.created_at > (SELECT min(collected_at) - INTERVAL 1 DAY FROM lake.previous_repositories)
