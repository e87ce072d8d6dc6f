-- lost_accounts: one row per account with lower coverage than in the night before, the lowest first.
-- key: account_id.  from: coverage, compliance_daily, scan_targets, publication.
-- Compares coverage, not repositories, so that an account without repositories is reported as well. An account
-- that is no longer ACTIVE has no coverage, and is not lost. `accounts` is their total number, of which at most
-- $shown are listed; `why` has the outcomes with AWS's errors.
WITH previous AS (
    SELECT
        scope_id AS account_id,
        any_value(coverage_percent) AS coverage_percent
    FROM compliance_daily
    WHERE scope_type = 'account'
        AND snapshot_date = (
            SELECT max(snapshot_date)
            FROM compliance_daily
            WHERE snapshot_date < (SELECT snapshot_date FROM publication)
        )
    GROUP BY account_id
),

reasons AS (
    SELECT
        account_id,
        array_to_string(
            list_sort(list(DISTINCT outcome || coalesce(' (' || error_code || ')', ''))), ', '
        ) AS why
    FROM scan_targets
    WHERE is_unread(outcome)
    GROUP BY account_id
)

SELECT
    c.account_id,
    c.account_name,
    c.ou_path,
    c.collected,
    c.targets - c.region_disabled - c.account_inactive AS countable,
    r.why,
    count(*) OVER () AS accounts
FROM coverage AS c
JOIN previous AS p USING (account_id)
LEFT JOIN reasons AS r USING (account_id)
WHERE c.coverage_percent < p.coverage_percent
ORDER BY c.coverage_percent, c.account_id
LIMIT $shown
