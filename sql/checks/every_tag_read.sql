-- severity: warn
-- Repositories that were read without their tags: owners, and waivers by tag, use the last known ones.
SELECT
    r.repository_arn,
    r.tags_read_at,
    t.error_code
FROM staging.repositories AS r
JOIN lake.scan_targets AS t USING (account_id, region)
WHERE tags_are_unread(r.observed, t.error_code, r.tags_read_at, r.collected_at)
