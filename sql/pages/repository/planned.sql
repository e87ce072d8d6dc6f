-- planned: one row per policy: what the remediation plan proposes for the repository of an ARN, with all published columns.
-- key: policy_id.  from: remediation_plan.
SELECT *
FROM remediation_plan
WHERE account_id = split_part($arn, ':', 5)
    AND repository_arn = $arn
ORDER BY policy_id
