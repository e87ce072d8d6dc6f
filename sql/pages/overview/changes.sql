-- changes: one row per kind of change between the two newest snapshots, with its number of repositories.
-- key: change.  from: changes.
SELECT
    change,
    count(*) AS repositories,
    any_value(previous_snapshot_date) AS previous_snapshot_date
FROM changes
WHERE policy_id = $policy_id
    AND snapshot_date = (SELECT snapshot_date FROM publication)
GROUP BY change
