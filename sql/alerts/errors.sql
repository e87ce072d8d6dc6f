-- errors: one row per outcome and error code of targets not read tonight in some accounts, the most frequent first.
-- key: outcome, error_code.  from: scan_targets.
-- $account_ids: those accounts; an empty list is all of them. `error_message` is one of those that came with the code.
SELECT
    outcome,
    error_code,
    max(error_message) AS error_message,
    count(*) AS targets
FROM scan_targets
WHERE is_unread(outcome)
    AND (len($account_ids::VARCHAR[]) = 0 OR list_contains($account_ids::VARCHAR[], account_id))
GROUP BY ALL
ORDER BY targets DESC, outcome, error_code
