-- What is open now, and who owns it? Those with most that is not waived come first. `undetermined` ones were incompliant
-- when last evaluated. A name of two accounts, or of an account and an owner by tag, is a row for each.
SELECT
    owner,
    owner_source,
    CASE WHEN owner_source = 'account' THEN account_id END AS untagged_in,
    count(*) AS findings,
    count(DISTINCT account_id) AS accounts,
    max(age_days) AS oldest_days,
    count(*) FILTER (WHERE waived) AS waived,
    count(*) FILTER (WHERE status = 'UNDETERMINED') AS undetermined
FROM findings
WHERE policy_id = $policy_id
GROUP BY 1, 2, 3
ORDER BY count(*) FILTER (WHERE NOT waived) DESC, findings DESC, owner, owner_source, untagged_in
LIMIT 25;
