-- unread_values: one row per account, or none, with values that were read the night before but not tonight.
-- key: account_id.  from: unread_values.
-- Those with the most repositories come first, after values without an account (the list of regions,
-- the file of waivers). At most $shown; `all_rows` counts them. `why` has AWS's errors.
SELECT
    account_id,
    account_name,
    ou_path,
    list_sort(list(DISTINCT CASE kind
        WHEN 'account' THEN 'name or unit'
        WHEN 'regions' THEN 'list of regions'
        WHEN 'waivers' THEN 'file of waivers'
        ELSE kind
    END)) AS kinds,
    coalesce(array_to_string(list_sort(list(DISTINCT coalesce(error_code, error_message))), ', '), '') AS why,
    count(*) OVER () AS all_rows
FROM unread_values
WHERE is_new
GROUP BY account_id, account_name, ou_path
ORDER BY account_id IS NOT NULL, sum(repositories) DESC, account_id
LIMIT $shown
