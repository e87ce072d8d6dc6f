-- changes: one row per policy and repository whose verdict changed since the previous evaluated snapshot.
-- key: policy_id, repository_arn.  from: staging.new_verdicts, staging.previous_verdicts, lake.previous_policy_run,
-- lake.accounts, lake.previous_accounts.
--   new          INCOMPLIANT, and never was before
--   reopened     INCOMPLIANT again, after an incompliant stretch that had ended
--   fixed        COMPLIANT, which ends an incompliant stretch, also one whose last days nobody could see
--   appeared     seen for the first time, and not INCOMPLIANT
--   disappeared  deleted
--   lost_sight   had a verdict (COMPLIANT or INCOMPLIANT) and has none now
--   seen_again   had no verdict and has one now, which is none of the above
-- A repository that was deleted and created anew counts as seen for the first time. Without a previous snapshot, or for
-- a policy that did not exist then, nothing has changed: there is nothing to compare with.
WITH compared AS (
    SELECT
        o.*,
        (SELECT any_value(snapshot_date) FROM lake.previous_policy_run) AS previous_snapshot_date,
        p.status AS previous_status,
        CASE
            WHEN o.status = 'DISAPPEARED' THEN 'disappeared'
            WHEN o.status = 'INCOMPLIANT' AND p.incompliant_end_date IS NOT NULL THEN 'reopened'
            WHEN o.status = 'INCOMPLIANT' AND p.incompliant_start_date IS NULL THEN 'new'
            WHEN p.object_id IS NULL THEN 'appeared'
            WHEN o.status = 'COMPLIANT'
                AND p.incompliant_start_date IS NOT NULL
                AND p.incompliant_end_date IS NULL THEN 'fixed'
            WHEN o.status IN ('COMPLIANT', 'INCOMPLIANT') THEN 'seen_again'
            WHEN p.status IN ('COMPLIANT', 'INCOMPLIANT') THEN 'lost_sight'
        END AS change
    FROM staging.new_verdicts AS o
    LEFT JOIN staging.previous_verdicts AS p
        ON p.policy_id = o.policy_id
        AND p.object_id = o.object_id
        AND NOT p.was_another
)

SELECT
    c.previous_snapshot_date,
    c.policy_id,
    c.object_id AS repository_arn,
    c.account_id,
    coalesce(a.account_name, b.account_name) AS account_name,
    coalesce(a.ou_path, b.ou_path) AS ou_path,
    c.region,
    split_part(c.object_id, ':repository/', 2) AS repository_name,
    c.owner,
    c.change,
    c.previous_status,
    c.status,
    c.incompliant_start_date,
    c.incompliant_end_date,
    c.current_state_message
FROM compared AS c
LEFT JOIN lake.accounts AS a ON a.account_id = c.account_id
LEFT JOIN lake.previous_accounts AS b ON b.account_id = c.account_id
WHERE c.change IS NOT NULL
