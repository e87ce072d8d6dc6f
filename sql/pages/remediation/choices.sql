-- choices: one row per value of a filter that the remediation plan has: for accounts and owners the 200 with most rows.
-- key: kind, value.  from: ou_compliance, remediation_plan.
-- kind: ou (all units), policy, managed_by, region, account (whose label is its name), owner.
SELECT
    kind,
    value,
    label
FROM (
    SELECT DISTINCT
        'ou' AS kind,
        ou_path AS value,
        NULL AS label
    FROM ou_compliance
    UNION ALL
    SELECT DISTINCT
        'policy',
        policy_id,
        NULL
    FROM remediation_plan
    UNION ALL
    SELECT DISTINCT
        'managed_by',
        coalesce(managed_by, 'unknown'),
        NULL
    FROM remediation_plan
    UNION ALL
    SELECT DISTINCT
        'region',
        region,
        NULL
    FROM remediation_plan
    UNION ALL
    (
        SELECT
            'account',
            account_id,
            any_value(account_name)
        FROM remediation_plan
        GROUP BY account_id
        ORDER BY count(*) DESC, account_id
        LIMIT 200
    )
    UNION ALL
    (
        SELECT
            'owner',
            owner,
            NULL
        FROM remediation_plan
        GROUP BY owner
        ORDER BY count(*) DESC, owner
        LIMIT 200
    )
)
ORDER BY kind, value
