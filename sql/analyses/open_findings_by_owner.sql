-- What is open now, and who owns it?
SELECT
    owner,
    count(*) AS findings,
    count(DISTINCT account_id) AS accounts,
    max(age_days) AS oldest_days,
    count(*) FILTER (WHERE waived) AS waived
FROM findings
WHERE policy_id = '/ce/ca/aws/ecr/repository-image-tag-mutability'
GROUP BY owner
ORDER BY findings DESC, owner
LIMIT 25;
