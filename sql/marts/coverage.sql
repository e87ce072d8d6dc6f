-- coverage: one row per account: its coverage, and since when it has been incomplete.
-- key: account_id.  from: lake.accounts, lake.scan_targets, lake.repositories, lake.previous_coverage.
-- coverage_percent is the macro of that name: NULL without countable targets.
-- first_day_not_seen begins the current run of snapshots in each of which some target could not be read; NULL
-- when all targets were read today.
WITH outcomes AS (
    SELECT
        account_id,
        count(*) AS targets,
        count(*) FILTER (WHERE outcome = 'COLLECTED') AS collected,
        count(*) FILTER (WHERE outcome = 'ASSUME_ROLE_DENIED') AS assume_role_denied,
        count(*) FILTER (WHERE outcome = 'ACCESS_DENIED') AS access_denied,
        count(*) FILTER (WHERE outcome = 'REGION_DISABLED') AS region_disabled,
        count(*) FILTER (WHERE outcome = 'ACCOUNT_INACTIVE') AS account_inactive,
        count(*) FILTER (WHERE outcome = 'THROTTLED') AS throttled,
        count(*) FILTER (WHERE outcome = 'FAILED') AS failed,
        coverage_percent(outcome) AS coverage_percent
    FROM lake.scan_targets
    GROUP BY account_id
),

repositories AS (
    SELECT
        account_id,
        count(*) FILTER (WHERE observed) AS repositories_observed,
        count(*) FILTER (WHERE NOT observed) AS repositories_unseen
    FROM lake.repositories
    GROUP BY account_id
)

SELECT
    a.account_id,
    a.account_name,
    a.state,
    a.ou_id,
    a.ou_path,
    coalesce(o.targets, 0) AS targets,
    coalesce(o.collected, 0) AS collected,
    coalesce(o.assume_role_denied, 0) AS assume_role_denied,
    coalesce(o.access_denied, 0) AS access_denied,
    coalesce(o.region_disabled, 0) AS region_disabled,
    coalesce(o.account_inactive, 0) AS account_inactive,
    coalesce(o.throttled, 0) AS throttled,
    coalesce(o.failed, 0) AS failed,
    coalesce(r.repositories_observed, 0) AS repositories_observed,
    coalesce(r.repositories_unseen, 0) AS repositories_unseen,
    o.coverage_percent,
    CASE WHEN o.coverage_percent < 100 THEN coalesce(p.first_day_not_seen, $snapshot_date) END AS first_day_not_seen
FROM lake.accounts AS a
LEFT JOIN outcomes AS o USING (account_id)
LEFT JOIN repositories AS r USING (account_id)
LEFT JOIN lake.previous_coverage AS p USING (account_id)
