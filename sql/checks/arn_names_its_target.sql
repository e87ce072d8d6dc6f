-- severity: fail
-- A repository's ARN names the account and the region that it was found in: verdicts take both from it.
SELECT
    repository_arn,
    account_id,
    region
FROM lake.repositories
WHERE contains(repository_arn, concat(':ecr:', region, ':', account_id, ':repository/')) IS DISTINCT FROM TRUE
