-- What is open now, and who owns it? Those with most to fix come first: incompliant repositories without a waiver. The
-- `undetermined` findings were incompliant when last evaluated. Repositories without an owner's tag are under the name of
-- their account, whose id is `untagged_in`; it is NULL for an owner by tag. A name of two accounts, or of an account and an
-- owner by tag, is a row for each.
SELECT
    owner,
    owner_source,
    CASE WHEN owner_source = 'account' THEN account_id END AS untagged_in,
    count(*) FILTER (WHERE status = 'INCOMPLIANT' AND NOT waived) AS to_fix,
    count(*) AS findings,
    count(*) FILTER (WHERE waived) AS waived,
    count(*) FILTER (WHERE status = 'UNDETERMINED') AS undetermined,
    count(DISTINCT account_id) AS accounts,
    max(age_days) AS oldest_days
FROM findings
WHERE policy_id = $policy_id
GROUP BY 1, 2, 3
ORDER BY to_fix DESC, findings DESC, owner, owner_source, untagged_in
LIMIT 25;
