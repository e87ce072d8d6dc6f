-- stretches: one row per time that the repository was incompliant under a policy, the first one first.
-- key: policy_id, started.  from: findings_history.
SELECT
    policy_id,
    started,
    started_known,
    ended,
    days,
    ended_by
FROM findings_history
WHERE account_id = split_part($arn, ':', 5)
    AND repository_arn = $arn
ORDER BY policy_id, started
