-- Is it getting better? The organization's compliance at the end of each week, and how much of it was seen.
SELECT
    date_trunc('week', snapshot_date)::DATE AS week,
    max(snapshot_date) AS snapshot_date,
    round(arg_max(compliance_percent, snapshot_date), 1) AS compliance_percent,
    round(arg_max(compliance_percent_with_waivers, snapshot_date), 1) AS compliance_percent_with_waivers,
    round(arg_max(coverage_percent, snapshot_date), 1) AS coverage_percent,
    arg_max(incompliant, snapshot_date) AS incompliant
FROM compliance_daily
WHERE scope_type = 'organization'
    AND policy_id = '/ce/ca/aws/ecr/repository-image-tag-mutability'
GROUP BY week
ORDER BY week;
