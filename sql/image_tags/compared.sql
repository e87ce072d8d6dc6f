-- compared: one row per tag that a repository had at the last complete read before this night, or has now.
-- key: repository_arn, tag.  from: lake.previous_image_tags, lake.listed_tags, staging.reads.
-- old_digest is NULL for a tag that was not there, new_digest for one that was not listed: in a repository that was not
-- read completely that means nothing. goes_on: the tag pointed at the same digest all the time; new_digest is NULL then,
-- too: a digest is most of a row.
SELECT
    coalesce(p.account_id, l.account_id) AS account_id,
    repository_arn,
    tag,
    p.digest AS old_digest,
    p.first_seen,
    p.last_seen,
    coalesce(r.compared AND p.digest = l.digest, FALSE) AS goes_on,
    CASE WHEN NOT goes_on THEN l.digest END AS new_digest,
    r.repository_arn IS NULL AS is_gone,
    coalesce(r.complete, FALSE) AS complete,
    coalesce(r.compared, FALSE) AS compared,
    r.read_at
FROM (FROM lake.previous_image_tags WHERE is_current) AS p
FULL JOIN lake.listed_tags AS l USING (repository_arn, tag)
LEFT JOIN staging.reads AS r USING (repository_arn)
