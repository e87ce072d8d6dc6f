-- overwritten: the one row with the newest night whose image tags were read: how many repositories were to be read, were
-- read, and were compared with an earlier night; and how many tags were overwritten.
-- from: publication, repository_image_tags, tag_moves, repositories.
-- image_tags_date: that night; NULL without one. overwritable: repositories in which a tag can be overwritten.
WITH reads AS (
    SELECT
        count(*) AS repositories,
        count(*) FILTER (WHERE is_collected(outcome)) AS read,
        count(*) FILTER (WHERE tags_added IS NOT NULL) AS compared
    FROM repository_image_tags
),

moves AS (
    SELECT
        count(*) AS moves,
        count(*) FILTER (WHERE is_release) AS releases,
        count(*) FILTER (WHERE kind = 'moved_though_immutable') AS moved_though_immutable,
        count(DISTINCT repository_arn) AS moved_repositories
    FROM tag_moves
    WHERE snapshot_date = (SELECT image_tags_date FROM publication)
)

SELECT
    (SELECT image_tags_date FROM publication) AS image_tags_date,
    reads.*,
    moves.*,
    (SELECT count(*) FROM repositories WHERE observed AND overwritable_tags <> 'none') AS overwritable
FROM reads
CROSS JOIN moves
