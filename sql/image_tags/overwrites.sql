-- overwrites: one row per tag that was overwritten in the night, and whose actor is not known yet.
-- key: repository_arn, tag.  from: lake.tag_moves, lake.previous_tag_actors: what an earlier reading of the trail found.
-- Found and not found stay as they are, as long as the night's moves are the same.
SELECT
    m.account_id,
    m.region,
    m.repository_name,
    m.repository_arn,
    m.tag,
    m.is_release,
    m.kind,
    m.new_digest,
    m.seen_before,
    m.seen_after
FROM lake.tag_moves AS m
LEFT JOIN lake.previous_tag_actors AS a USING (repository_arn, tag, new_digest, seen_after)
WHERE m.kind IN ('moved', 'moved_though_immutable', 'moved_back')
    AND coalesce(a.trail_outcome NOT IN ('FOUND', 'NOT_FOUND'), TRUE)
