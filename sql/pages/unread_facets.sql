-- unread_facets: one row per facet and cause that keep policies from evaluating, the one that most objects lack first.
-- key: facet, cause.  from: undetermined_reasons, policies.
-- objects and accounts: the most under one of the policies.
SELECT
    facet,
    cause,
    max(accounts) AS accounts,
    max(objects) AS objects,
    list(contextual_name ORDER BY contextual_name) AS policies
FROM undetermined_reasons
JOIN policies USING (policy_id)
WHERE facet IS NOT NULL
GROUP BY facet, cause
ORDER BY objects DESC, facet, cause
