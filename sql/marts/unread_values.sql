-- unread_values: one row per value that is read separately from its object, and could not be read for the snapshot: its
-- last known value still counts.
-- key: kind, account_id, region.  from: staging.repositories, lake.scan_targets, lake.accounts, lake.waived_findings, and
-- what was known the night before: lake.previous_repositories, lake.previous_accounts, lake.previous_policy_run.
--   tags      the tags of an account's repositories in a region: their owners, and the waivers by tag
--   account   an account's name, unit or date of joining: compliance by unit, the waivers by unit
--   regions   the regions of the partition: which ones are planned
--   waivers   the file of waivers
-- Tags that are not collected (ECR_AUDIT_COLLECT_TAGS) are not unread, and neither are values of a target that was not
-- read.
WITH unread_tags AS (
    SELECT
        account_id,
        region,
        min(r.tags_read_at) AS last_read_at,
        count(r.tags_read_at) AS repositories,
        count(*) - count(r.tags_read_at) AS repositories_without_value,
        any_value(t.error_code) AS error_code,
        any_value(t.error_message) AS error_message
    FROM staging.repositories AS r
    JOIN lake.scan_targets AS t USING (account_id, region)
    WHERE tags_are_unread(r.observed, t.error_code, r.tags_read_at, r.collected_at)
    GROUP BY ALL
),

tags_unread_before AS (
    SELECT DISTINCT
        account_id,
        region
    FROM lake.previous_repositories AS p
    SEMI JOIN unread_tags USING (account_id, region)
    WHERE p.observed
        AND known_reading_of_tags(p.tags_read_at, p.tags, p.collected_at) IS DISTINCT FROM p.collected_at
),

unread_accounts AS (
    SELECT
        a.account_id,
        a.details_read_at AS last_read_at,
        (p.details_read_at IS DISTINCT FROM p.collected_at) AS was_unread_before
    FROM lake.accounts AS a
    LEFT JOIN lake.previous_accounts AS p USING (account_id)
    -- Lakes before schema version 5 do not have the time, and have only that night's values.
    WHERE a.collected_at IS NOT NULL
        AND a.details_read_at IS DISTINCT FROM a.collected_at
),

their_repositories AS (
    SELECT
        account_id,
        count(*) AS repositories
    FROM lake.repositories
    SEMI JOIN unread_accounts USING (account_id)
    GROUP BY account_id
),

unread AS (
    SELECT
        'tags' AS kind,
        u.*,
        b.account_id IS NULL AS is_new
    FROM unread_tags AS u
    LEFT JOIN tags_unread_before AS b USING (account_id, region)
    UNION ALL BY NAME
    SELECT
        'account' AS kind,
        u.account_id,
        u.last_read_at,
        CASE WHEN u.last_read_at IS NOT NULL THEN coalesce(r.repositories, 0) ELSE 0 END AS repositories,
        CASE WHEN u.last_read_at IS NULL THEN coalesce(r.repositories, 0) ELSE 0 END AS repositories_without_value,
        $units_error::VARCHAR AS error_message,
        NOT u.was_unread_before AS is_new
    FROM unread_accounts AS u
    LEFT JOIN their_repositories AS r USING (account_id)
    UNION ALL BY NAME
    SELECT
        'regions' AS kind,
        $regions_read_at::TIMESTAMPTZ AS last_read_at,
        $regions_error::VARCHAR AS error_message,
        -- A night reads them after its accounts. Values that were never read are not lost.
        last_read_at IS NOT NULL
            AND coalesce(last_read_at >= (SELECT max(collected_at) FROM lake.previous_accounts), TRUE) AS is_new
    WHERE $regions_error IS NOT NULL
    UNION ALL BY NAME
    SELECT
        'waivers' AS kind,
        $waivers_read_at::TIMESTAMPTZ AS last_read_at,
        (SELECT count(DISTINCT object_id) FROM lake.waived_findings) AS repositories,
        $waivers_error::VARCHAR AS error_message,
        -- A night reads them after it was evaluated.
        coalesce(last_read_at >= (SELECT max(run_time) FROM lake.previous_policy_run), TRUE) AS is_new
    WHERE $waivers_error IS NOT NULL
)

SELECT
    $snapshot_date AS snapshot_date,
    u.kind,
    u.account_id,
    a.account_name,
    a.ou_path,
    u.region,
    u.last_read_at,
    u.repositories,
    u.repositories_without_value,
    -- The first night has no earlier values.
    u.is_new AND EXISTS (FROM lake.previous_policy_run) AS is_new,
    u.error_code,
    u.error_message
FROM unread AS u
LEFT JOIN lake.accounts AS a USING (account_id)
