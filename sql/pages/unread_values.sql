-- unread_values: one row per kind of value that could not be read for the snapshot, in an account or (NULL) anywhere.
-- key: kind.  from: unread_values, undetermined_reasons.
-- Without an account those facets are left out that keep a policy from evaluating: unread_facets has them.
SELECT
    kind,
    count(DISTINCT account_id) AS accounts,
    coalesce(sum(repositories), 0)::BIGINT AS repositories,
    coalesce(sum(repositories_without_value), 0)::BIGINT AS repositories_without_value,
    count(*) FILTER (WHERE last_read_at IS NULL) AS never_read,
    min(last_read_at)::DATE AS first_read_date,
    max(last_read_at)::DATE AS last_read_date,
    list(DISTINCT error_code ORDER BY error_code) FILTER (WHERE error_code IS NOT NULL) AS error_codes
FROM unread_values
WHERE CASE
    WHEN $account_id IS NULL THEN kind NOT IN (SELECT facet FROM undetermined_reasons WHERE facet IS NOT NULL)
    ELSE account_id = $account_id
END
GROUP BY kind
ORDER BY list_position(['waivers', 'regions', 'account', 'tags'], kind) NULLS LAST, kind
