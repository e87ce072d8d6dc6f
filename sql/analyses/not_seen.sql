-- What did the audit not see tonight, since when, and why? One row per account; account_last_read is the last night in
-- which any of its regions was read. Asked in DuckDB: is_unread is a macro.
WITH unread AS (
    SELECT
        account_id,
        string_agg(DISTINCT outcome, ', ' ORDER BY outcome) AS outcomes,
        string_agg(DISTINCT error_code, ', ' ORDER BY error_code) AS error_codes,
        string_agg(region, ', ' ORDER BY region) AS regions
    FROM scan_targets
    WHERE is_unread(outcome)
    GROUP BY account_id
)

SELECT
    c.account_id,
    c.account_name,
    c.first_day_not_seen,
    c.last_read_date AS account_last_read,
    c.repositories_unseen,
    u.outcomes,
    u.error_codes,
    u.regions
FROM unread AS u
JOIN coverage AS c USING (account_id)
ORDER BY c.repositories_unseen DESC, c.account_id;
