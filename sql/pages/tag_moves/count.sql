-- count: the one row with the number of matching overwrites, of those of release tags, and of two kinds.
-- from: tag_moves/matching.
SELECT
    count(*) AS moves,
    count(*) FILTER (WHERE is_release) AS releases,
    count(*) FILTER (WHERE kind = 'moved_though_immutable') AS moved_though_immutable,
    count(*) FILTER (WHERE kind = 'moved_back') AS moved_back
FROM {tag_moves/matching}
