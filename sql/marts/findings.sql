-- findings: one row per policy and object, a repository or a registry, that is INCOMPLIANT, or was when it was last seen.
-- key: policy_id, repository_arn.  from: lake.policy_output, staging.repositories, lake.accounts, lake.waived_findings,
-- catalog.policies, published.remediation_plan, lake.remediation_actions_history.
-- One that cannot be evaluated today stays here while its incompliant stretch is open: not evaluated is not
-- fixed.
-- Its status is then UNDETERMINED, undetermined_reason says why, and its other columns have the last known values.
-- Sorted by policy, the oldest first, the usual order of queries, so that they need not sort a million rows.
-- started_known = false: it began before the first scan, and age_days is a minimum.
-- Waived findings are included; waiver_id is the waiver in force, and waived whether there is one.
-- overwritable_tags and exclusion_filters are NULL under policies that are not about them (finding_columns in
-- policy.yaml).
-- plan_rule is the rule of the remediation plan where the plan decides on the fix: it proposes one, or holds by image tags that
-- are read. A HOLD without any evidence, since image tags are not read, or in few nights in which no tag moved, leaves the
-- policy's command as it is. fix_command is the plan's command where it decides, NULL where no command should be run, and
-- remediation_command elsewhere.
-- fix_*: the last change to the repository by an approved plan, also one that failed, since the finding began; NULL without
-- one, and where the change was taken back. A rollback that wrote nothing has taken nothing back.
WITH last_changes AS (
    SELECT
        repository_arn,
        arg_max(
            {
                'plan_id': plan_id,
                'outcome': outcome,
                'approver': approver,
                'acted_at': acted_at,
                'is_rollback': rollback_of IS NOT NULL
            },
            acted_at
        ) AS change
    FROM lake.remediation_actions_history
    WHERE acted_at IS NOT NULL
        AND (rollback_of IS NULL OR outcome IN ('DONE', 'ALREADY', 'DIFFERS'))
    GROUP BY repository_arn
),

findings AS MATERIALIZED (
    -- Joined first and then sorted, since both at once take more memory than publishing has.
    SELECT
        o.snapshot_date,
        o.policy_id,
        o.object_id AS repository_arn,
        o.account_id,
        a.account_name,
        a.ou_id,
        a.ou_path,
        o.region,
        resource_name(o.object_id) AS repository_name,
        resource_type(o.object_id) AS object_type,
        o.owner,
        o.owner_source,
        r.tags_read_at::DATE AS tags_read_date,
        o.status,
        undetermined_reason(o.status, o.condition_index) AS undetermined_reason,
        o.observed,
        o.incompliant_start_date,
        date_diff('day', o.incompliant_start_date, o.snapshot_date) AS age_days,
        coalesce(o.started_known, FALSE) AS started_known,
        CASE WHEN list_contains(p.finding_columns, 'overwritable_tags') THEN r.overwritable_tags END
            AS overwritable_tags,
        CASE WHEN list_contains(p.finding_columns, 'exclusion_filters') THEN r.exclusion_filters END
            AS exclusion_filters,
        o.current_state_message,
        o.remediation_message,
        o.remediation_command,
        w.waiver_id IS NOT NULL AS waived,
        w.waiver_id,
        CASE
            WHEN n.action = 'HOLD' AND $image_tags_date::DATE IS NULL THEN NULL
            WHEN n.rule = 'too_little_evidence' AND len(n.moving_tags) = 0 THEN NULL
            ELSE n.rule
        END AS plan_rule,
        CASE WHEN plan_rule IS NULL THEN o.remediation_command ELSE n.command END AS fix_command,
        c.change.plan_id AS fix_plan_id,
        c.change.outcome AS fix_outcome,
        c.change.approver AS fix_approver,
        c.change.acted_at AS fix_acted_at
    FROM lake.policy_output AS o
    LEFT JOIN staging.repositories AS r ON r.repository_arn = o.object_id
    LEFT JOIN lake.accounts AS a ON a.account_id = o.account_id
    LEFT JOIN catalog.policies AS p USING (policy_id)
    LEFT JOIN lake.waived_findings AS w ON w.policy_id = o.policy_id AND w.object_id = o.object_id
    LEFT JOIN published.remediation_plan AS n ON n.policy_id = o.policy_id AND n.repository_arn = o.object_id
    LEFT JOIN last_changes AS c
        ON c.repository_arn = CASE WHEN len(p.passing_mutability) > 0 THEN o.object_id END
        AND NOT c.change.is_rollback
        AND (c.change.acted_at AT TIME ZONE 'UTC')::DATE >= o.incompliant_start_date
    WHERE is_finding(o.status, o.incompliant_start_date, o.incompliant_end_date)
)

SELECT *
FROM findings
ORDER BY policy_id, incompliant_start_date, repository_arn
