-- account_compliance: one row per account and policy: how the account's repositories fare.
-- key: account_id, policy_id.  from: lake.policy_output, lake.accounts, lake.scan_targets, catalog.policies.
-- Accounts without repositories are here with zeros, and a compliance_percent of NULL; so are accounts that have left,
-- as long as something of them is known, without a name.
WITH known_accounts AS (
    SELECT account_id
    FROM lake.accounts
    UNION
    SELECT account_id
    FROM lake.policy_output
),

counts AS (
    SELECT
        policy_id,
        account_id,
        count(*) FILTER (WHERE status = 'COMPLIANT') AS compliant,
        count(*) FILTER (WHERE status = 'INCOMPLIANT') AS incompliant,
        count(*) FILTER (WHERE status = 'UNDETERMINED') AS undetermined,
        count(*) FILTER (WHERE status = 'INAPPLICABLE') AS inapplicable,
        count(*) FILTER (WHERE status = 'DISAPPEARED') AS disappeared
    FROM lake.policy_output
    GROUP BY ALL
),

coverage AS (
    SELECT
        account_id,
        100.0 * count(*) FILTER (WHERE outcome = 'COLLECTED')
            / nullif(count(*) FILTER (WHERE outcome NOT IN ('REGION_DISABLED', 'ACCOUNT_INACTIVE')), 0)
            AS coverage_percent
    FROM lake.scan_targets
    GROUP BY account_id
)

SELECT
    $snapshot_date AS snapshot_date,
    k.account_id,
    a.account_name,
    a.state,
    a.ou_path,
    p.policy_id,
    coalesce(n.compliant, 0) AS compliant,
    coalesce(n.incompliant, 0) AS incompliant,
    coalesce(n.undetermined, 0) AS undetermined,
    coalesce(n.inapplicable, 0) AS inapplicable,
    coalesce(n.disappeared, 0) AS disappeared,
    100.0 * n.compliant / nullif(n.compliant + n.incompliant, 0) AS compliance_percent,
    c.coverage_percent
FROM known_accounts AS k
CROSS JOIN catalog.policies AS p
LEFT JOIN lake.accounts AS a USING (account_id)
LEFT JOIN counts AS n USING (account_id, policy_id)
LEFT JOIN coverage AS c USING (account_id)
