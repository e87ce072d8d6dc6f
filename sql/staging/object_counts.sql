-- object_counts: number of objects of an input: one row per account and observed.
-- key: input, account_id, observed.  from: staging.objects.
-- All objects are read once, here. `fingerprint` is the sum of their ids' hashes, as in verdict_counts: two sets of objects
-- are equal if their number and fingerprint are, which is much cheaper to find out than by comparing them.
SELECT
    input,
    account_id,
    observed,
    count(*) AS objects,
    sum(hash(object_id)) AS fingerprint
FROM staging.objects
GROUP BY ALL
