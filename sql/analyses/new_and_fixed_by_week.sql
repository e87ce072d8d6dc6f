-- How many findings came and went each week, and what remains of it?
SELECT
    date_trunc('week', snapshot_date)::DATE AS week,
    count(*) FILTER (WHERE change IN ('new', 'reopened')) AS came,
    count(*) FILTER (WHERE change = 'fixed') AS fixed,
    count(*) FILTER (WHERE change = 'disappeared' AND previous_status = 'INCOMPLIANT') AS deleted,
    came - fixed - deleted AS net
FROM changes
WHERE policy_id = '/ce/ca/aws/ecr/repository-image-tag-mutability'
GROUP BY week
ORDER BY week;
