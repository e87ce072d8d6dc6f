-- policies: one row per policy, with the account's compliance.
-- key: policy_id.  from: account_compliance, pages/policies.
SELECT
    policy_id,
    contextual_name,
    p.severity,
    compliant,
    incompliant,
    undetermined,
    inapplicable,
    waived,
    compliance_percent,
    compliance_percent_with_waivers
FROM account_compliance
JOIN {policies} AS p USING (policy_id)
WHERE account_id = $account_id
ORDER BY p.place
