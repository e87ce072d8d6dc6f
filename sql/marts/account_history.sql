-- account_history: one row per account and run of evaluated snapshots in which its name, state and unit stayed the same.
-- key: account_id, from_date.  from: lake.coverage_history, lake.policy_run_history.
-- A snapshot that does not have the account ends the run: it had left the organization. A unit that was renamed begins
-- another run with the same ou_id; an account that was moved, one with another. ou_id is NULL where all snapshots of a run
-- are of a version before 5. to_date is the last snapshot of the run, and NULL while it continues.
WITH nights AS (
    SELECT
        snapshot_date,
        row_number() OVER (ORDER BY snapshot_date) AS night
    FROM (SELECT DISTINCT snapshot_date FROM lake.policy_run_history)
),

compared AS (
    SELECT
        account_id,
        account_name,
        state,
        ou_id,
        ou_path,
        snapshot_date,
        night,
        (
            night IS DISTINCT FROM 1 + lag(night) OVER before
            OR account_name IS DISTINCT FROM lag(account_name) OVER before
            OR state IS DISTINCT FROM lag(state) OVER before
            OR ou_path IS DISTINCT FROM lag(ou_path) OVER before
            -- NULL is an unknown id, not another unit.
            OR coalesce(ou_id <> lag(ou_id) OVER before, FALSE)
        ) AS begins
    FROM lake.coverage_history
    JOIN nights USING (snapshot_date)
    WINDOW before AS (PARTITION BY account_id ORDER BY night)
),

numbered AS (
    SELECT
        *,
        count(*) FILTER (WHERE begins) OVER (PARTITION BY account_id ORDER BY night) AS run
    FROM compared
)

SELECT
    account_id,
    any_value(account_name) AS account_name,
    any_value(state) AS state,
    any_value(ou_id) AS ou_id,
    any_value(ou_path) AS ou_path,
    min(snapshot_date) AS from_date,
    CASE WHEN max(night) < (SELECT max(night) FROM nights) THEN max(snapshot_date) END AS to_date,
    count(*) AS nights
FROM numbered
GROUP BY account_id, run
