-- matching: one row per matching overwrite of an image tag; a NULL parameter matches everything. `place`: in the table.
-- key: snapshot_date, repository_arn, tag.  from: tag_moves, which is published in the order night, account, repository, tag.
-- Up to five words, each of which has to be in the tag, in the repository's name, or in its account's.
SELECT
    rowid AS place,
    *
FROM tag_moves
WHERE ($kind IS NULL OR kind = $kind)
    AND ($release IS NULL OR is_release = $release)
    AND ($since IS NULL OR snapshot_date >= $since)
    AND ($until IS NULL OR snapshot_date <= $until)
    AND ($ou IS NULL OR is_in_unit(ou_path, $ou))
    AND ($account IS NULL OR account_id = $account)
    AND ($region IS NULL OR region = $region)
    AND ($owner IS NULL OR owner = $owner)
    AND ($repository IS NULL OR repository_arn = $repository)
    AND ($tag IS NULL OR tag = $tag)
    AND ($word_1 IS NULL OR contains(lower(tag), $word_1) OR contains(lower(repository_name), $word_1)
        OR contains(lower(account_name), $word_1))
    AND ($word_2 IS NULL OR contains(lower(tag), $word_2) OR contains(lower(repository_name), $word_2)
        OR contains(lower(account_name), $word_2))
    AND ($word_3 IS NULL OR contains(lower(tag), $word_3) OR contains(lower(repository_name), $word_3)
        OR contains(lower(account_name), $word_3))
    AND ($word_4 IS NULL OR contains(lower(tag), $word_4) OR contains(lower(repository_name), $word_4)
        OR contains(lower(account_name), $word_4))
    AND ($word_5 IS NULL OR contains(lower(tag), $word_5) OR contains(lower(repository_name), $word_5)
        OR contains(lower(account_name), $word_5))
