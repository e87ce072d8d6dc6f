-- The commands that would fix all findings of today, as a script to review; waived findings are left out.
SELECT remediation_command
FROM findings
WHERE policy_id = $policy_id
    AND remediation_command IS NOT NULL
    AND NOT waived
ORDER BY account_id, region, repository_name;
