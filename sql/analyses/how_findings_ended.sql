-- Were findings repaired, or did they go away for another reason?
SELECT
    coalesce(ended_by, 'still open') AS ended_by,
    count(*) AS stretches,
    median(days) AS median_days,
    max(days) AS longest_days
FROM findings_history
WHERE policy_id = '/ce/ca/aws/ecr/repository-image-tag-mutability'
GROUP BY ALL
ORDER BY stretches DESC;
