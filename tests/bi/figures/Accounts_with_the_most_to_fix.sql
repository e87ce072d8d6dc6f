SELECT
    account(account_name, account_id) AS account,
    ou_path AS unit,
    incompliant - waived AS to_fix,
    waived,
    compliant + incompliant AS evaluated,
    compliance_percent AS compliance,
    coverage_percent AS coverage
FROM account_compliance
WHERE policy_id = getvariable('policy')
    AND is_chosen(ou_path)
    AND is_chosen_account(account_name, account_id);
