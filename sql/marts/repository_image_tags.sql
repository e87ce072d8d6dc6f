-- repository_image_tags: one row per repository of the snapshot whose image tags were read, or were to be: how the last read
-- ended, and what moved in the 30 nights up to image_tags_date.
-- key: repository_arn.  from: staging.repository_image_tags, staging.repositories, lake.accounts.
-- Counts are those of tag_moves. nothing_moved is the evidence that closing the repository breaks no push, as far as nights
-- can see; it is NULL where that is not known.
SELECT
    $snapshot_date AS snapshot_date,
    $image_tags_date::DATE AS image_tags_date,
    t.account_id,
    a.account_name,
    a.ou_id,
    a.ou_path,
    t.region,
    t.repository_name,
    t.repository_arn,
    coalesce(r.owner, nullif(a.account_name, ''), t.account_id) AS owner,
    CASE WHEN r.owner IS NULL THEN 'account' ELSE 'tag' END AS owner_source,
    t.* EXCLUDE (account_id, region, repository_name, repository_arn, is_left_out)
FROM staging.repository_image_tags AS t
JOIN staging.repositories AS r USING (repository_arn)
LEFT JOIN lake.accounts AS a ON a.account_id = t.account_id
WHERE t.outcome IS NOT NULL OR t.last_read_at IS NOT NULL
