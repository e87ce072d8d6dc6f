-- severity: fail
-- The organization's counts are the sum over all accounts, and the sum over the topmost OUs and the accounts in none.
WITH parts AS (
    SELECT
        s.*,
        CASE
            WHEN s.scope_type = 'account' THEN 'accounts'
            ELSE 'topmost OUs and accounts in none'
        END AS summed
    FROM marts.section_compliance AS s
    WHERE s.scope_type = 'account'
        OR (s.scope_type = 'ou' AND s.scope_id NOT LIKE '%/%')
    UNION ALL
    SELECT
        s.*,
        'topmost OUs and accounts in none' AS summed
    FROM marts.section_compliance AS s
    LEFT JOIN lake.accounts AS a ON a.account_id = s.scope_id
    WHERE s.scope_type = 'account'
        AND coalesce(a.ou_path, '') = ''
),

sums AS (
    SELECT
        section_id,
        summed,
        sum(compliant) AS compliant,
        sum(incompliant) AS incompliant,
        sum(undetermined) AS undetermined,
        sum(inapplicable) AS inapplicable,
        sum(disappeared) AS disappeared
    FROM parts
    GROUP BY ALL
)

SELECT
    section_id,
    n.summed,
    [o.compliant, o.incompliant, o.undetermined, o.inapplicable, o.disappeared]::BIGINT[] AS organization,
    [n.compliant, n.incompliant, n.undetermined, n.inapplicable, n.disappeared]::BIGINT[] AS sum_of_parts
FROM marts.section_compliance AS o
JOIN sums AS n USING (section_id)
WHERE o.scope_type = 'organization'
    AND organization IS DISTINCT FROM sum_of_parts
