-- download: one row per finding that fits a filter, in the order of the table: by policy, the oldest first.
-- key: policy_id, repository_arn.  from: findings/matching.
-- Not sorted here: so rows come as they are read, and none waits in memory for the last.
SELECT
    repository_name,
    region,
    account_id,
    account_name,
    ou_path,
    owner,
    status,
    age_days,
    incompliant_start_date,
    started_known,
    overwritable_tags,
    exclusion_filters,
    waived,
    waiver_id,
    observed,
    current_state_message,
    remediation_command,
    repository_arn,
    policy_id,
    snapshot_date
FROM {findings/matching}
