-- findings: one row per policy and repository that is INCOMPLIANT, or was when it was last seen.
-- key: policy_id, repository_arn.  from: lake.policy_output, staging.repositories, lake.accounts.
-- A repository that cannot be judged today stays here while its incompliant stretch is open: lost sight is not fixed.
-- Its status is then UNDETERMINED, observed says whether it was seen, and what is said of it is what was last known.
SELECT
    o.snapshot_date,
    o.policy_id,
    o.object_id AS repository_arn,
    o.account_id,
    a.account_name,
    a.ou_path,
    o.region,
    split_part(o.object_id, ':repository/', 2) AS repository_name,
    r.owner,
    o.status,
    o.observed,
    o.incompliant_start_date,
    date_diff('day', o.incompliant_start_date, o.snapshot_date) AS age_days,
    r.overwritable_tags,
    r.exclusion_filters,
    o.current_state_message,
    o.remediation_command
FROM lake.policy_output AS o
LEFT JOIN staging.repositories AS r ON r.repository_arn = o.object_id
LEFT JOIN lake.accounts AS a ON a.account_id = o.account_id
WHERE o.status = 'INCOMPLIANT'
    OR (
        o.status = 'UNDETERMINED'
        AND o.incompliant_start_date IS NOT NULL
        AND o.incompliant_end_date IS NULL
    )
