-- plan: one row per repository of the night's inventory: whether its image tags are read, and what the night's rows need to
-- know about it.
-- key: repository_arn.  from: staging.repositories, lake.scan_targets, lake.accounts, lake.previous_image_tag_reads.
-- parameter: image_tags, the setting ECR_AUDIT_IMAGE_TAGS.
--   is_wanted   the setting names it: its outcome is NULL where it does not
--   is_read     wanted, and its account and region could be read; else it has their outcome
--   calls       those that the read will take, by the tags of the last complete one
SELECT
    r.repository_arn,
    r.account_id,
    a.account_name,
    a.ou_id,
    a.ou_path,
    r.region,
    r.repository_name,
    coalesce(r.owner, nullif(a.account_name, ''), r.account_id) AS owner,
    CASE WHEN r.owner IS NULL THEN 'account' ELSE 'tag' END AS owner_source,
    r.created_at,
    r.image_tag_mutability,
    r.exclusion_filters,
    $image_tags = 'all' OR r.overwritable_tags <> 'none' AS is_wanted,
    is_wanted AND r.observed AND coalesce(is_collected(t.outcome), FALSE) AS is_read,
    coalesce(t.outcome, 'FAILED') AS outcome,
    t.error_code,
    t.error_message,
    p.read_at AS last_read_at,
    greatest(1, ceil(p.complete_tags / 1000))::BIGINT AS calls
FROM staging.repositories AS r
LEFT JOIN lake.accounts AS a USING (account_id)
LEFT JOIN lake.scan_targets AS t USING (account_id, region)
LEFT JOIN lake.previous_image_tag_reads AS p USING (repository_arn)
