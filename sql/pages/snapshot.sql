-- snapshot: the one row that every page's header shows: which night it is, and how much of the organization was seen.
-- from: publication.
SELECT
    snapshot_date,
    published_at AT TIME ZONE 'UTC' AS published_at,
    coverage_percent,
    inventory_run_id
FROM publication
