-- Which findings name no owner in their tags, so that only the account can be asked?
SELECT
    f.account_id,
    f.account_name,
    count(*) AS findings,
    count(*) FILTER (WHERE r.tags IS NULL) AS tags_not_read
FROM findings AS f
JOIN repositories AS r USING (repository_arn)
WHERE f.policy_id = $policy_id
    AND f.owner_source = 'account'
GROUP BY f.account_id, f.account_name
ORDER BY findings DESC, f.account_id;
