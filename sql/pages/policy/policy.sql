-- policy: the policy of an id, the organization's compliance, and since when tonight's version is in use.
-- key: policy_id.  from: policies, compliance_daily, policy_run.
-- A version holds from the first night after the last one that another version evaluated.
WITH run AS (
    SELECT
        snapshot_date,
        policy_hash,
        policy_hash = last(policy_hash ORDER BY snapshot_date) OVER () AS is_tonights
    FROM policy_run
    WHERE policy_id = $policy_id
),

version AS (
    SELECT
        any_value(policy_hash) AS policy_hash,
        min(snapshot_date) AS version_since
    FROM run
    WHERE is_tonights
        AND snapshot_date > coalesce((SELECT max(snapshot_date) FROM run WHERE NOT is_tonights), DATE '0001-01-01')
)

SELECT
    policy_id,
    name,
    contextual_name,
    description,
    tags,
    type,
    categories,
    flags,
    severity,
    similar_policies,
    input,
    facets,
    version.policy_hash,
    version_since,
    compliant,
    incompliant,
    undetermined,
    waived,
    compliance_percent,
    compliance_percent_with_waivers
FROM policies
CROSS JOIN version
LEFT JOIN (
    FROM compliance_daily
    WHERE scope_type = 'organization'
        AND snapshot_date = (SELECT snapshot_date FROM publication)
) USING (policy_id)
WHERE policy_id = $policy_id
