-- What could not be evaluated under each policy tonight, and why: not seen, not read (which facet, and for which cause), or a
-- value that the policy does not know? An object that lacks several facets is in the row of each.
SELECT
    p.contextual_name,
    u.reason,
    u.facet,
    u.cause,
    u.objects,
    u.accounts
FROM undetermined_reasons AS u
JOIN policies AS p ON p.policy_id = u.policy_id
ORDER BY u.objects DESC, p.contextual_name, u.reason, u.facet, u.cause;
