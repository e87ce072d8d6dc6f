-- download: one row per matching overwrite, in the order of the table: by night, account, repository and tag.
-- key: snapshot_date, repository_arn, tag.  from: tag_moves/matching.
-- Not sorted here, so that rows are streamed and not held in memory.
SELECT * EXCLUDE (place)
FROM {tag_moves/matching}
