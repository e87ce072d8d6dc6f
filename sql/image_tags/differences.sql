-- differences: one row per tag that does not point at the digest of the night before, in repositories that were read
-- completely.
-- key: repository_arn, tag.  from: lake.previous_image_tags, lake.listed_tags, staging.slice_reads.
-- old_digest is NULL where a tag was added, new_digest where it was removed. After a repository was deleted and created
-- again, all tags are here: those of the old repository are removed, those of the new one added.
-- Most tags go on, and their digests are most of an interval: what differs is all that is kept of the join.
SELECT
    r.account_id,
    repository_arn,
    tag,
    p.digest AS old_digest,
    l.digest AS new_digest,
    r.read_at
FROM (FROM lake.previous_image_tags WHERE is_current) AS p
FULL JOIN lake.listed_tags AS l USING (repository_arn, tag)
JOIN staging.slice_reads AS r USING (repository_arn)
WHERE r.complete AND NOT coalesce(r.compared AND p.digest = l.digest, FALSE)
