-- changes: one row per policy, object and change since the previous evaluated snapshot.
-- key: policy_id, repository_arn, change.  from: staging.new_verdicts, staging.previous_verdicts, staging.moved_accounts,
-- staging.first_readings, lake.previous_policy_output, lake.previous_policy_run, lake.accounts, lake.previous_accounts, catalog.policies.
--   new          INCOMPLIANT, and never was before
--   reopened     INCOMPLIANT again, after an incompliant stretch that had ended
--   fixed        COMPLIANT, which ends an incompliant stretch, also one whose last days were not seen
--   appeared     seen for the first time, and not INCOMPLIANT
--   disappeared  deleted
--   lost_sight   had a verdict (COMPLIANT or INCOMPLIANT) and has none now
--   seen_again   had no verdict and has one now, which is none of the above
--   moved        its account was moved to another organizational unit, from previous_ou_path to ou_path
-- Two facts are two rows. One that was moved and changed was moved with its old verdict, and changed in the new unit. One
-- that was deleted and created again under its name has disappeared, and counts as seen for the first time. So changes add
-- up, for each unit too: each row takes a repository away from previous_status, in the unit that it was moved from, and
-- adds it to status in ou_path. An account that has left the organization stays in its last unit.
-- An object that is INCOMPLIANT only since something of it was read for the first time is seen_again, not new.
-- Without a previous snapshot, or for a policy that did not exist then, there are no changes: there is nothing to
-- compare with.
WITH compared AS (
    SELECT
        o.policy_id,
        o.object_id,
        o.account_id,
        o.region,
        o.owner,
        o.owner_source,
        CASE
            WHEN o.status = 'DISAPPEARED' THEN 'disappeared'
            WHEN o.status = 'INCOMPLIANT' AND p.incompliant_end_date IS NOT NULL THEN 'reopened'
            WHEN f.object_id IS NOT NULL THEN 'seen_again'
            WHEN o.status = 'INCOMPLIANT' AND p.incompliant_start_date IS NULL THEN 'new'
            WHEN p.object_id IS NULL THEN 'appeared'
            WHEN o.status = 'COMPLIANT'
                AND p.incompliant_start_date IS NOT NULL
                AND p.incompliant_end_date IS NULL THEN 'fixed'
            WHEN has_verdict(o.status) THEN 'seen_again'
            WHEN has_verdict(p.status) THEN 'lost_sight'
        END AS change,
        p.status AS previous_status,
        o.status,
        o.incompliant_start_date,
        o.incompliant_end_date,
        o.current_state_message
    FROM staging.new_verdicts AS o
    LEFT JOIN staging.previous_verdicts AS p
        ON p.policy_id = o.policy_id
        AND p.object_id = o.object_id
        AND NOT p.was_another
    LEFT JOIN staging.first_readings AS f ON f.policy_id = o.policy_id AND f.object_id = o.object_id
),

replaced AS (
    SELECT
        policy_id,
        object_id,
        account_id,
        region,
        owner,
        owner_source,
        'disappeared' AS change,
        status AS previous_status,
        'DISAPPEARED' AS status,
        incompliant_start_date,
        CASE
            WHEN is_finding(status, incompliant_start_date, incompliant_end_date) THEN $snapshot_date
            ELSE incompliant_end_date
        END AS incompliant_end_date,
        concat('The ', resource_type(object_id), ' was deleted, and another one was created under its name.')
            AS current_state_message
    FROM staging.previous_verdicts
    WHERE was_another
),

moved AS (
    SELECT
        p.policy_id,
        p.object_id,
        p.account_id,
        p.region,
        p.owner,
        p.owner_source,
        'moved' AS change,
        p.status AS previous_status,
        p.status,
        p.incompliant_start_date,
        p.incompliant_end_date,
        concat(
            'The account was moved from ', coalesce(m.previous_ou_path, 'no unit'),
            ' to ', coalesce(m.ou_path, 'no unit'), '.'
        ) AS current_state_message
    FROM lake.previous_policy_output AS p
    JOIN staging.moved_accounts AS m USING (account_id)
    SEMI JOIN catalog.policies USING (policy_id)
    WHERE p.status <> 'DISAPPEARED'
),

changes AS (
    FROM compared
    WHERE change IS NOT NULL
    UNION ALL
    FROM replaced
    UNION ALL
    FROM moved
)

SELECT
    (SELECT any_value(snapshot_date) FROM lake.previous_policy_run) AS previous_snapshot_date,
    c.policy_id,
    c.object_id AS repository_arn,
    c.account_id,
    coalesce(a.account_name, b.account_name) AS account_name,
    CASE WHEN a.account_id IS NULL THEN b.ou_id ELSE a.ou_id END AS ou_id,
    CASE WHEN a.account_id IS NULL THEN b.ou_path ELSE a.ou_path END AS ou_path,
    CASE WHEN c.change = 'moved' THEN b.ou_id END AS previous_ou_id,
    CASE WHEN c.change = 'moved' THEN b.ou_path END AS previous_ou_path,
    c.region,
    resource_name(c.object_id) AS repository_name,
    c.owner,
    c.owner_source,
    c.change,
    c.previous_status,
    c.status,
    c.incompliant_start_date,
    c.incompliant_end_date,
    c.current_state_message
FROM changes AS c
LEFT JOIN lake.previous_accounts AS b ON b.account_id = c.account_id
LEFT JOIN lake.accounts AS a ON a.account_id = c.account_id
