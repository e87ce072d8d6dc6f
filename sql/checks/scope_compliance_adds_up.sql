-- severity: fail
-- A policy's counts of the organization are the sum over all accounts, over all owners, over all regions, and over the
-- topmost OUs and the accounts in none.
WITH parts AS (
    SELECT
        *,
        CASE scope_type
            WHEN 'ou' THEN 'topmost OUs and accounts in none'
            ELSE scope_type || 's'
        END AS summed
    FROM marts.scope_compliance
    WHERE scope_type IN ('account', 'owner', 'region')
        OR (scope_type = 'ou' AND scope_id NOT LIKE '%/%')
    UNION ALL
    SELECT
        s.*,
        'topmost OUs and accounts in none' AS summed
    FROM marts.scope_compliance AS s
    LEFT JOIN lake.accounts AS a ON a.account_id = s.scope_id
    WHERE s.scope_type = 'account'
        AND coalesce(a.ou_path, '') = ''
),

sums AS (
    SELECT
        policy_id,
        summed,
        sum(compliant) AS compliant,
        sum(incompliant) AS incompliant,
        sum(undetermined) AS undetermined,
        sum(inapplicable) AS inapplicable,
        sum(disappeared) AS disappeared,
        sum(waived) AS waived
    FROM parts
    GROUP BY ALL
)

SELECT
    policy_id,
    n.summed,
    [o.compliant, o.incompliant, o.undetermined, o.inapplicable, o.disappeared, o.waived]::BIGINT[] AS organization,
    [n.compliant, n.incompliant, n.undetermined, n.inapplicable, n.disappeared, n.waived]::BIGINT[] AS sum_of_parts
FROM marts.scope_compliance AS o
JOIN sums AS n USING (policy_id)
WHERE o.scope_type = 'organization'
    AND organization IS DISTINCT FROM sum_of_parts
