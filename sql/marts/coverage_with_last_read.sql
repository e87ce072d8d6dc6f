-- coverage: one row per account, as the night's roll-up has it, and the last night in which some of the account was read.
-- key: account_id.  from: lake.coverage, lake.coverage_history.
-- last_read_date is of any region: tonight for an account that was read in part. NULL: no evaluated night read any of it.
WITH read AS (
    SELECT
        account_id,
        max(snapshot_date) AS last_read_date
    FROM lake.coverage_history
    WHERE collected > 0
    GROUP BY account_id
)

SELECT
    c.*,
    r.last_read_date
FROM lake.coverage AS c
LEFT JOIN read AS r USING (account_id)
