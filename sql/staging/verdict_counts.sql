-- verdict_counts: how many verdicts there are of a policy in each state: one row per account, region, status and observed,
-- and once more one row per owner and status, where owner is not NULL and the others are.
-- key: policy_id, account_id, region, owner, status, observed.  from: lake.policy_output.
-- All verdicts are read once, here; what only counts them reads these few rows. `fingerprint` is the sum of their objects'
-- hashes: two sets of objects are the same if as many and with the same fingerprint.
SELECT
    policy_id,
    account_id,
    region,
    owner,
    status,
    observed,
    count(*) AS verdicts,
    sum(hash(object_id)) AS fingerprint
FROM lake.policy_output
-- Each for itself: of accounts x regions x owners there can be as many as repositories.
GROUP BY GROUPING SETS ((policy_id, account_id, region, status, observed), (policy_id, owner, status))
