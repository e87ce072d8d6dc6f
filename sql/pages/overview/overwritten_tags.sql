-- overwritten_tags: one row per tag that was overwritten in the newest night whose image tags were read, releases and those
-- that the setting protected first.
-- key: repository_arn, tag.  from: tag_moves, publication.
SELECT
    repository_arn,
    repository_name,
    region,
    account_id,
    account_name,
    owner,
    tag,
    is_release,
    kind
FROM tag_moves
WHERE snapshot_date = (SELECT image_tags_date FROM publication)
ORDER BY is_release DESC, kind = 'moved_though_immutable' DESC, account_id, repository_arn, tag
LIMIT $shown
