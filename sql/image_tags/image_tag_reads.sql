-- image_tag_reads: one row per repository of the night's inventory: how its image tags were read, and what moved in the last
-- 30 nights.
-- key: repository_arn.  from: staging.reads, staging.recent_moves, lake.change_counts.
-- A count is 0 where nothing moved, whether or not there was something to compare: compared_nights says in which nights.
SELECT
    r.*,
    CASE WHEN r.compared THEN coalesce(c.tags_added, 0) END AS tags_added,
    CASE WHEN r.compared THEN coalesce(c.tags_removed, 0) END AS tags_removed,
    coalesce(m.moves, 0) AS moves,
    coalesce(m.tags_moved, 0) AS tags_moved,
    coalesce(m.release_tags_moved, 0) AS release_tags_moved,
    coalesce(m.tags_moved_though_immutable, 0) AS tags_moved_though_immutable,
    m.last_moved_at,
    coalesce(m.moved_release_tags, []) AS moved_release_tags,
    coalesce(m.moved_immutable_tags, []) AS moved_immutable_tags
FROM staging.reads AS r
LEFT JOIN staging.recent_moves AS m USING (repository_arn)
LEFT JOIN lake.change_counts AS c USING (repository_arn)
