-- Were findings repaired, or did they go away for another reason? Days count where the audit saw the finding begin.
SELECT
    coalesce(ended_by, 'still open') AS ended_by,
    count(*) AS stretches,
    count(*) FILTER (WHERE NOT started_known) AS started_unknown,
    median(days) FILTER (WHERE started_known) AS median_days,
    max(days) FILTER (WHERE started_known) AS longest_days
FROM findings_history
WHERE policy_id = '/ce/ca/aws/ecr/repository-image-tag-mutability'
GROUP BY ALL
ORDER BY stretches DESC;
