-- tag_moves: one row per tag that was overwritten between two complete reads of its repository, in the night of the later
-- one.
-- key: repository_arn, tag.  from: staging.changed, staging.reads.
--   moved                   points at another digest, as the setting allowed
--   moved_though_immutable  the same, though the setting forbade it at both reads: the tag was deleted and pushed again,
--                           or the setting was changed and changed back in between
--   moved_back              moved to a digest that it had before
-- seen_before and seen_after are the times of the reads that found the two digests: what happened twice in between is not
-- seen. A tag that was removed, and set again to another digest in a later night, moved in the later one. Tags that were
-- only added or removed have no row: repository_image_tags counts them.
WITH moved AS (
    SELECT
        c.*,
        r.* EXCLUDE (repository_arn),
        forbids_overwriting(r.setting_before, r.filters_before, c.tag)
            AND forbids_overwriting(r.image_tag_mutability, r.exclusion_filters, c.tag) AS is_forbidden
    FROM staging.changed AS c
    JOIN staging.reads AS r USING (repository_arn)
    -- An unequal comparison: of NULL, it is not true.
    WHERE c.old_digest <> c.new_digest
)

SELECT
    account_id,
    account_name,
    ou_id,
    ou_path,
    region,
    repository_name,
    repository_arn,
    owner,
    owner_source,
    tag,
    is_release_tag(tag) AS is_release,
    CASE
        WHEN is_forbidden THEN 'moved_though_immutable'
        WHEN had_digest_before THEN 'moved_back'
        ELSE 'moved'
    END AS kind,
    old_digest,
    new_digest,
    seen_before,
    read_at AS seen_after,
    setting_before,
    image_tag_mutability AS setting_after
FROM moved
ORDER BY account_id, repository_arn, tag
