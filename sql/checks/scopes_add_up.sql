-- severity: fail
-- The organization's counts, of each policy and of each section, are the sum over all accounts, over the topmost OUs and
-- the accounts in none; those of a policy also over all regions, and over all owners and what is untagged.
WITH counts AS (
    SELECT
        policy_id AS counted,
        scope_type,
        scope_id,
        [compliant, incompliant, undetermined, inapplicable, disappeared, waived] AS numbers
    FROM marts.scope_compliance
    UNION ALL
    SELECT
        section_id AS counted,
        scope_type,
        scope_id,
        [compliant, incompliant, undetermined, inapplicable, disappeared, waived] AS numbers
    FROM marts.section_compliance
),

parts AS (
    SELECT
        counted,
        CASE scope_type
            WHEN 'ou' THEN 'topmost OUs and accounts in none'
            WHEN 'untagged' THEN 'owners'
            ELSE scope_type || 's'
        END AS summed,
        numbers
    FROM counts
    WHERE scope_type IN ('account', 'owner', 'untagged', 'region')
        OR (scope_type = 'ou' AND scope_id NOT LIKE '%/%')
    UNION ALL
    SELECT
        c.counted,
        'topmost OUs and accounts in none' AS summed,
        c.numbers
    FROM counts AS c
    LEFT JOIN lake.accounts AS a ON a.account_id = c.scope_id
    WHERE c.scope_type = 'account'
        AND coalesce(a.ou_path, '') = ''
),

sums AS (
    SELECT
        counted,
        summed,
        [
            sum(numbers[1]), sum(numbers[2]), sum(numbers[3]), sum(numbers[4]), sum(numbers[5]), sum(numbers[6])
        ]::BIGINT[] AS sum_of_parts
    FROM parts
    GROUP BY ALL
)

SELECT
    counted,
    s.summed,
    c.numbers AS organization,
    s.sum_of_parts
FROM counts AS c
JOIN sums AS s USING (counted)
WHERE c.scope_type = 'organization'
    AND c.numbers IS DISTINCT FROM s.sum_of_parts
