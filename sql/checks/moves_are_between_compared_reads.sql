-- severity: fail
-- stage: image_tags
-- A tag that was overwritten is in a repository whose read was compared with an earlier one, and points to another digest than
-- then; the repository counts it.
SELECT
    m.repository_arn,
    m.tag,
    m.kind,
    m.old_digest,
    m.new_digest,
    m.seen_before,
    m.seen_after,
    r.compared
FROM lake.tag_moves AS m
LEFT JOIN lake.image_tag_reads AS r USING (repository_arn)
WHERE (r.compared IS DISTINCT FROM TRUE)
    OR (m.old_digest <> m.new_digest) IS DISTINCT FROM TRUE
    OR (m.seen_before < m.seen_after) IS DISTINCT FROM TRUE
    OR m.seen_after <> r.complete_at
    OR r.tags_moved = 0
