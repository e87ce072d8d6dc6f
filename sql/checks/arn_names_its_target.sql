-- severity: fail
-- A repository's ARN names the account and the region that it was found in: verdicts take both from it.
SELECT
    repository_arn,
    account_id,
    region
FROM lake.repositories
WHERE split_part(repository_arn, ':', 5) IS DISTINCT FROM account_id
    OR split_part(repository_arn, ':', 4) IS DISTINCT FROM region
