-- verdict_counts: number of verdicts of a policy: one row per account, region, untagged, status and
-- observed; and once more one row per owner and status, where owner is not NULL and the others are.
-- key: policy_id, account_id, region, untagged, owner, status, observed.  from: lake.policy_output.
-- An owner is named by a tag. Objects without an owner tag are untagged: they are their account's, and are not
-- counted for an owner who happens to be named as the account is.
-- All verdicts are read once, here; queries that only count read these few rows. `fingerprint` is the sum of their
-- objects' hashes: two sets of objects are equal if their number and fingerprint are.
WITH verdicts AS (
    SELECT
        * REPLACE (CASE WHEN owner_source IS DISTINCT FROM 'account' THEN owner END AS owner),
        (owner_source IS NOT DISTINCT FROM 'account') AS untagged
    FROM lake.policy_output
)

SELECT
    policy_id,
    account_id,
    region,
    untagged,
    owner,
    status,
    observed,
    count(*) AS verdicts,
    sum(hash(object_id)) AS fingerprint
FROM verdicts
-- Separately, since accounts x regions x owners can be as many as repositories.
GROUP BY GROUPING SETS ((policy_id, account_id, region, untagged, status, observed), (policy_id, owner, status))
