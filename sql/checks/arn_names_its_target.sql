-- severity: fail
-- stage: inventory
-- A repository's ARN has the account and the region that it was found in, which verdicts take from it, and its name:
-- so it is one repository's wherever account, region and name are.
SELECT
    account_id,
    region,
    repository_name,
    repository_arn
FROM lake.repositories
WHERE ends_with(repository_arn, concat(':ecr:', region, ':', account_id, ':repository/', repository_name))
    IS DISTINCT FROM TRUE
