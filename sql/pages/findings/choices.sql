-- choices: one row per value of a filter, most findings first; for accounts and owners the first 200.
-- key: kind, value.  from: ou_compliance, region_compliance, account_compliance, owner_compliance.
-- kind: ou, region, account (whose label is its name), owner.
SELECT
    kind,
    value,
    label
FROM (
    SELECT 'ou' AS kind, ou_path AS value, NULL AS label, 0 AS rank FROM ou_compliance WHERE policy_id = $policy_id
    UNION ALL
    SELECT 'region', region, NULL, 0 FROM region_compliance WHERE policy_id = $policy_id
    UNION ALL
    (
        SELECT 'account', account_id, account_name, -incompliant
        FROM account_compliance
        WHERE policy_id = $policy_id
            AND incompliant + undetermined > 0
        ORDER BY incompliant DESC, account_id
        LIMIT 200
    )
    UNION ALL
    (
        SELECT 'owner', owner, NULL, -incompliant
        FROM owner_compliance
        WHERE policy_id = $policy_id
            AND incompliant + undetermined > 0
        ORDER BY incompliant DESC, owner
        LIMIT 200
    )
)
ORDER BY kind, rank, value
