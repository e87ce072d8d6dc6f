-- The commands that would fix all incompliant repositories without a waiver, as a script to review. Where no command does,
-- findings has how to fix it in remediation_message.
SELECT remediation_command
FROM findings
WHERE policy_id = $policy_id
    AND remediation_command IS NOT NULL
    AND NOT waived
ORDER BY account_id, region, repository_name;
