-- regions: one row per region of the account: its outcome, and the compliance of its repositories.
-- key: region.  from: scan_targets, policy_output, registries.
WITH verdicts AS (
    SELECT
        region,
        count(*) FILTER (WHERE status = 'COMPLIANT') AS compliant,
        count(*) FILTER (WHERE status = 'INCOMPLIANT') AS incompliant,
        count(*) FILTER (WHERE status = 'UNDETERMINED') AS undetermined
    FROM policy_output
    WHERE policy_id = $policy_id
        AND account_id = $account_id
    GROUP BY region
)

SELECT
    region,
    outcome,
    error_code,
    error_message,
    repository_count,
    api_calls,
    retries,
    duration_ms,
    registry_arn IS NOT NULL AS has_registry,
    coalesce(compliant, 0) AS compliant,
    coalesce(incompliant, 0) AS incompliant,
    coalesce(undetermined, 0) AS undetermined,
    compliance_percent(compliant, incompliant) AS compliance_percent
FROM scan_targets
LEFT JOIN verdicts USING (region)
LEFT JOIN registries USING (account_id, region)
WHERE account_id = $account_id
ORDER BY NOT is_unread(outcome), region
