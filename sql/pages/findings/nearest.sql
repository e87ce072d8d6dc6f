-- nearest: at most 5 values of a filter, the most similar to the given one first.
-- key: value.  from: policies, ou_compliance, region_compliance, account_compliance, owner_compliance, frameworks.
-- kind: policy, ou, region, account, owner or framework. A value that is there is the first row.
SELECT DISTINCT value
FROM (
    SELECT 'policy' AS kind, policy_id AS value FROM policies
    UNION ALL
    SELECT 'ou', ou_path FROM ou_compliance
    UNION ALL
    SELECT 'region', region FROM region_compliance
    UNION ALL
    SELECT 'account', account_id FROM account_compliance
    UNION ALL
    SELECT 'owner', owner FROM owner_compliance
    UNION ALL
    SELECT 'framework', framework_id FROM frameworks
)
WHERE kind = $kind
ORDER BY value <> $value, jaro_winkler_similarity(lower(value), lower($value)) DESC, value
LIMIT 5
