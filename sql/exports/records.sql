-- records: one row per verdict that is exported: findings, and those that ended tonight.
-- key: policy_id, object_id.  from: policy_output, findings, repositories, registries, accounts, waivers,
-- publication.
-- $records: `findings` for the above, or `all` for every verdict. $ended_since: with findings that ended since this date;
-- NULL: tonight.
-- All are held at once: texts of policies are for the queries of lines to add.
-- remediation_command is the finding's fix_command: what should be run, by the remediation plan where it decides.
-- activity_id: 1 began tonight, 2 goes on, 3 ended. No time is that of publishing: the same commit gives the same rows.
SELECT
    o.* REPLACE (
        CASE WHEN f.policy_id IS NULL THEN o.remediation_command ELSE f.fix_command END AS remediation_command
    ),
    coalesce(f.waived, FALSE) AS waived,
    f.waiver_id,
    w.ticket,
    w.expires,
    CASE
        WHEN o.status IN ('DISAPPEARED', 'INAPPLICABLE') OR o.incompliant_end_date = o.snapshot_date THEN 3
        WHEN o.incompliant_start_date = o.snapshot_date THEN 1
        ELSE 2
    END AS activity_id,
    export_uid(['finding', o.policy_id, o.object_id]) AS finding_uid,
    coalesce(o.incompliant_start_date, o.status_date) AS created_date,
    a.account_name,
    a.ou_id,
    a.ou_path,
    coalesce(r.collected_at, g.collected_at) AS collected_at,
    r.image_tag_mutability_raw,
    r.exclusion_filters,
    r.overwritable_tags,
    r.scan_on_push,
    p.organization_id,
    p.inventory_commit,
    p.compliance_commit,
    p.program_version
FROM policy_output AS o
LEFT JOIN findings AS f ON f.policy_id = o.policy_id AND f.repository_arn = o.object_id
LEFT JOIN repositories AS r ON r.repository_arn = o.object_id
LEFT JOIN registries AS g ON g.registry_arn = o.object_id
LEFT JOIN accounts AS a ON a.account_id = o.account_id
LEFT JOIN waivers AS w ON w.waiver_id = f.waiver_id
CROSS JOIN publication AS p
WHERE $records = 'all'
    OR is_finding(o.status, o.incompliant_start_date, o.incompliant_end_date)
    OR o.incompliant_end_date >= least($ended_since::DATE, o.snapshot_date)
