-- Which accounts improved most, and which slipped, over the last 30 days?
WITH ends AS (
    SELECT
        scope_id AS account_id,
        arg_min(compliance_percent, snapshot_date) AS then_percent,
        arg_max(compliance_percent, snapshot_date) AS now_percent
    FROM compliance_daily
    WHERE scope_type = 'account'
        AND policy_id = '/ce/ca/aws/ecr/repository-image-tag-mutability'
        AND snapshot_date >= (SELECT snapshot_date - 30 FROM publication)
    GROUP BY account_id
)

SELECT
    account_id,
    a.account_name,
    round(then_percent, 1) AS then_percent,
    round(now_percent, 1) AS now_percent,
    round(now_percent - then_percent, 1) AS points
FROM ends
LEFT JOIN accounts AS a USING (account_id)
WHERE now_percent IS NOT NULL
ORDER BY points DESC NULLS LAST, account_id;
