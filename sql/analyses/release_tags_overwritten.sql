-- Which release tags were overwritten, by owner, the newest first? Nobody expects them to move: whoever pulled one before and
-- after has two images of one name. `between_reads` has the times (UTC) of the reads between which it moved; `actor` needs the
-- organization's trail.
SELECT
    owner,
    owner_source,
    snapshot_date,
    account_id,
    region,
    repository_name,
    tag,
    kind,
    old_digest,
    new_digest,
    concat_ws(
        ' to ', CAST(seen_before AT TIME ZONE 'UTC' AS VARCHAR), CAST(seen_after AT TIME ZONE 'UTC' AS VARCHAR)
    ) AS between_reads,
    actor
FROM tag_moves
WHERE is_release
ORDER BY owner, owner_source, snapshot_date DESC, account_id, region, repository_name, tag;
