-- Who overwrites image tags most, in the 30 nights up to the newest read? Repositories without an owner's tag are under the name
-- of their account, whose id is `untagged_in`; it is NULL for an owner by tag. `overwrites` counts a tag once for each night
-- in which it moved, `tags` once; `not_known` are repositories whose tags were not read, or not with anything to compare.
SELECT
    owner,
    owner_source,
    CASE WHEN owner_source = 'account' THEN account_id END AS untagged_in,
    sum(moves) AS overwrites,
    sum(tags_moved) AS tags,
    sum(release_tags_moved) AS release_tags,
    sum(tags_moved_though_immutable) AS though_immutable,
    count(*) FILTER (WHERE moves > 0) AS repositories,
    count(*) FILTER (WHERE nothing_moved) AS unmoved_repositories,
    count(*) FILTER (WHERE moves = 0 AND nothing_moved IS NULL) AS not_known,
    CAST(max(last_moved_at) AT TIME ZONE 'UTC' AS DATE) AS last_moved_on
FROM repository_image_tags
GROUP BY 1, 2, 3
HAVING sum(moves) > 0
ORDER BY overwrites DESC, tags DESC, owner, owner_source, untagged_in
LIMIT 25;
