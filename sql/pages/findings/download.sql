-- download: one row per finding that fits a filter, with the columns and in the order of the table: by policy, the oldest
-- first.
-- key: policy_id, repository_arn.  from: findings/matching.
-- Not sorted here: so rows come as they are read, and none waits in memory for the last.
SELECT * EXCLUDE (place)
FROM {findings/matching}
