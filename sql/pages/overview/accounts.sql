-- accounts: one row per account with incompliant repositories, most first.
-- key: account_id.  from: account_compliance.
SELECT
    account_id,
    account_name,
    ou_path,
    compliant,
    incompliant,
    compliance_percent,
    coverage_percent
FROM account_compliance
WHERE policy_id = $policy_id
    AND incompliant > 0
ORDER BY incompliant DESC, account_id
LIMIT $shown
