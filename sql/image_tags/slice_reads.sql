-- slice_reads: one row per repository of the accounts that are compared now: how its image tags were read.
-- key: repository_arn.  from: staging.reads.
SELECT
    account_id,
    repository_arn,
    complete,
    compared,
    read_at,
    complete_before,
    created_at
FROM staging.reads
WHERE account_id > getvariable('accounts_after') AND account_id <= getvariable('accounts_up_to')
