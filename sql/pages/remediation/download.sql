-- download: one row per matching row of the remediation plan, in the order of the table: by policy, account, region, name.
-- key: policy_id, repository_arn.  from: remediation/matching.
-- Not sorted here, so that rows are streamed and not held in memory.
SELECT * EXCLUDE (place)
FROM {remediation/matching}
