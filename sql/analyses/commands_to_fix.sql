-- The commands that would fix all incompliant repositories without a waiver, as a script to review: those of the remediation
-- plan where it decides. Where no command should be run, findings has the plan's rule, or how to fix it in remediation_message.
SELECT fix_command
FROM findings
WHERE policy_id = $policy_id
    AND fix_command IS NOT NULL
    AND NOT waived
ORDER BY account_id, region, repository_name;
