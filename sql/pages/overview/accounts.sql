-- accounts: one row per account with incompliant repositories without a waiver, most first.
-- key: account_id.  from: account_compliance.
-- to_fix + waived = incompliant.
SELECT
    account_id,
    account_name,
    ou_path,
    compliant,
    incompliant - waived AS to_fix,
    waived,
    incompliant,
    compliance_percent,
    coverage_percent
FROM account_compliance
WHERE policy_id = $policy_id
    AND incompliant > waived
ORDER BY to_fix DESC, account_id
LIMIT $shown
