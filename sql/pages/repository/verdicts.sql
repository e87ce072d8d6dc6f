-- verdicts: one row per policy: its verdict on the repository, why, its finding, and the waiver in force that covers it.
-- fix_command, plan_rule: those of the finding; without one, the command of the policy.
-- key: policy_id.  from: policy_output, pages/policies, findings, waivers.
WITH finding AS (
    SELECT
        policy_id,
        age_days,
        started_known,
        waiver_id,
        plan_rule,
        fix_command
    FROM findings
    WHERE account_id = split_part($arn, ':', 5)
        AND repository_arn = $arn
)

SELECT
    verdict.policy_id,
    policy.name,
    policy.contextual_name,
    policy.severity,
    verdict.status,
    status_date,
    incompliant_start_date,
    incompliant_end_date,
    current_state_message,
    remediation_message,
    remediation_command,
    CASE WHEN finding.policy_id IS NULL THEN remediation_command ELSE fix_command END AS fix_command,
    plan_rule,
    observed,
    age_days,
    finding.started_known,
    waiver_id,
    waiver.reason,
    waiver.owner AS waiver_owner,
    waiver.approved_by,
    waiver.ticket,
    waiver.expires,
    waiver.days_left
FROM policy_output AS verdict
LEFT JOIN {policies} AS policy USING (policy_id)
LEFT JOIN finding USING (policy_id)
LEFT JOIN waivers AS waiver USING (waiver_id)
WHERE verdict.account_id = split_part($arn, ':', 5)
    AND verdict.region = split_part($arn, ':', 4)
    AND object_id = $arn
ORDER BY policy.place, verdict.policy_id
