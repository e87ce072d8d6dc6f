-- What did the audit not see tonight, since when, and why?
SELECT
    c.account_id,
    c.account_name,
    c.first_day_not_seen,
    c.repositories_unseen,
    t.outcome,
    t.error_code,
    string_agg(t.region, ', ' ORDER BY t.region) AS regions
FROM coverage AS c
JOIN scan_targets AS t USING (account_id)
WHERE t.outcome NOT IN ('COLLECTED', 'REGION_DISABLED', 'ACCOUNT_INACTIVE')
GROUP BY ALL
ORDER BY c.repositories_unseen DESC, c.account_id;
