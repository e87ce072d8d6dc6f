-- snapshot: the one row of every page's header: the night and its coverage.
-- from: publication.
SELECT
    snapshot_date,
    published_at AT TIME ZONE 'UTC' AS published_at,
    coverage_percent,
    inventory_run_id
FROM publication
