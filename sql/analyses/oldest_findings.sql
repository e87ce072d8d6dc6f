-- Which findings have been open for longest, and what would fix them? Without a known start the days are a minimum.
SELECT
    incompliant_start_date,
    age_days,
    started_known,
    account_name,
    region,
    repository_name,
    owner,
    remediation_message,
    plan_rule,
    fix_command
FROM findings
WHERE policy_id = $policy_id
    AND NOT waived
ORDER BY age_days DESC, account_name, region, repository_name
LIMIT 25;
