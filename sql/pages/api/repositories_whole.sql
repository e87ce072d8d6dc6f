-- repositories_whole: one row per repository that fits, in the order of the table: by account, region and name.
-- key: repository_arn.  from: api/repositories_matching.
-- Not sorted here: so rows come as they are read, and none waits in memory for the last.
SELECT * EXCLUDE (place)
FROM {api/repositories_matching}
