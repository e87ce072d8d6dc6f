-- unread_values: one row per kind of value that could not be read in the given accounts, by error, with its regions.
-- key: account_id, kind, error_code, error_message.  from: unread_values.
SELECT
    account_id,
    account_name,
    kind,
    coalesce(list(region ORDER BY region) FILTER (WHERE region IS NOT NULL), []) AS regions,
    min(last_read_at)::DATE AS last_read_date,
    sum(repositories)::BIGINT AS repositories,
    sum(repositories_without_value)::BIGINT AS repositories_without_value,
    error_code,
    error_message
FROM unread_values
WHERE list_contains($account_ids, account_id)
GROUP BY ALL
ORDER BY account_id, kind, error_code, error_message
