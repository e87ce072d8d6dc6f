-- download: one row per matching finding, in the order of the table: by policy, the oldest first; with its columns but
-- remediation_command, of which fix_command has what should be run.
-- key: policy_id, repository_arn.  from: findings/matching.
-- Not sorted here, so that rows are streamed and not held in memory.
SELECT * EXCLUDE (place, remediation_command)
FROM {findings/matching}
