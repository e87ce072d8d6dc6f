-- Which repositories were fixed and broke again, and how often?
SELECT
    max(account_name) AS account_name,
    region,
    repository_name,
    count(*) AS stretches,
    min(started) AS first_started,
    max(started) AS last_started,
    sum(days) AS days_open
FROM findings_history
WHERE policy_id = '/ce/ca/aws/ecr/repository-image-tag-mutability'
GROUP BY repository_arn, region, repository_name
HAVING count(*) > 1
ORDER BY stretches DESC, days_open DESC, region, repository_name;
