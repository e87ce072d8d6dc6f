-- repositories_whole: one row per matching repository, in the order of the table: by account, region and name.
-- key: repository_arn.  from: api/repositories_matching.
-- Not sorted here, so that rows are streamed and not held in memory.
SELECT * EXCLUDE (place)
FROM {api/repositories_matching}
