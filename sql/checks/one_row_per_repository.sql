-- severity: fail
-- stage: inventory
-- A repository has one row: verdicts and their history are joined by its ARN. Hashes are counted first, which is much
-- cheaper than ARNs; a collision of hashes is not a violation.
WITH suspects AS (
    SELECT hash(repository_arn) AS arn_hash
    FROM lake.repositories
    GROUP BY ALL
    HAVING count(*) > 1
)

SELECT
    account_id,
    region,
    repository_arn,
    count(*) AS repository_rows
FROM lake.repositories
WHERE hash(repository_arn) IN (SELECT arn_hash FROM suspects)
GROUP BY ALL
HAVING count(*) > 1
