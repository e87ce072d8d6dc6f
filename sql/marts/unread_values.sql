-- unread_values: one row per value that is read separately from its object, and could not be read for the snapshot: its
-- last known value still counts.
-- key: kind, account_id, region.  from: staging.repositories, staging.registries, lake.scan_targets, lake.accounts,
-- lake.waived_findings, and what was known the night before: lake.previous_repositories, lake.previous_registries,
-- lake.previous_accounts, lake.previous_policy_run.
--   tags, scanning, keys, registries, lifecycle, policies
--             a facet of an account's repositories, or of its registry, in a region; by tags go owners, and waivers
--   account   an account's name, unit or date of joining: compliance by unit, the waivers by unit
--   regions   the regions of the partition: which ones are planned
--   waivers   the file of waivers
-- A facet that is not collected (ECR_AUDIT_COLLECT), or whose turn it is not, is not unread; and neither are values of a
-- target that was not read.
WITH failed AS (
    SELECT
        r.account_id,
        r.region,
        -- Both lists at once: a row for each failure.
        unnest(failed_facets(r.facets_failed, t.error_code, r.tags_read_at, r.collected_at)).facet AS kind,
        unnest(failed_facets(r.facets_failed, t.error_code, r.tags_read_at, r.collected_at)).error_code AS error_code,
        read_at_of(kind, r) AS last_read_at
    FROM staging.repositories AS r
    JOIN lake.scan_targets AS t ON t.account_id = r.account_id AND t.region = r.region
    WHERE r.observed
    UNION ALL BY NAME
    SELECT
        account_id,
        region,
        unnest(facets_failed).facet AS kind,
        unnest(facets_failed).error_code AS error_code,
        registries_read_at AS last_read_at
    FROM staging.registries
    WHERE observed
),

unread_facets AS (
    SELECT
        kind,
        account_id,
        region,
        min(last_read_at) AS last_read_at,
        count(last_read_at) AS repositories,
        count(*) - count(last_read_at) AS repositories_without_value,
        any_value(error_code) AS error_code
    FROM failed
    GROUP BY ALL
),

-- Why, as the target has it; before schema version 7 it has only that of its tags, in its own error.
reasons AS (
    SELECT
        account_id,
        region,
        unnest(facets_failed, recursive := TRUE)
    FROM lake.scan_targets
    WHERE facets_failed IS NOT NULL
    UNION ALL BY NAME
    SELECT
        account_id,
        region,
        'tags' AS facet,
        error_code,
        error_message
    FROM lake.scan_targets
    WHERE facets_failed IS NULL AND starts_with(error_code, 'Tags.')
),

unread_before AS (
    SELECT DISTINCT
        p.account_id,
        p.region,
        'tags' AS kind
    FROM lake.previous_repositories AS p
    JOIN unread_facets AS u ON u.account_id = p.account_id AND u.region = p.region
    WHERE u.kind = 'tags'
        AND p.observed
        AND known_reading_of_tags(p.tags_read_at, p.tags, p.collected_at) IS DISTINCT FROM p.collected_at
    UNION
    SELECT DISTINCT
        account_id,
        region,
        unnest(facets_failed).facet AS kind
    FROM lake.previous_repositories
    WHERE observed
    UNION
    SELECT DISTINCT
        account_id,
        region,
        unnest(facets_failed).facet AS kind
    FROM lake.previous_registries
    WHERE observed
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
        u.* REPLACE (coalesce(r.error_code, u.error_code) AS error_code),
        r.error_message,
        -- What was never read is not lost.
        b.account_id IS NULL AND u.repositories > 0 AS is_new
    FROM unread_facets AS u
    LEFT JOIN reasons AS r ON r.account_id = u.account_id AND r.region = u.region AND r.facet = u.kind
    LEFT JOIN unread_before AS b ON b.account_id = u.account_id AND b.region = u.region AND b.kind = u.kind
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
