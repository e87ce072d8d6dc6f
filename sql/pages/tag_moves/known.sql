-- known: the one row that says whether an overwrite has a value of a filter, also one that is no longer tonight's.
-- from: tag_moves.
-- kind: ou, account, region or owner.
SELECT EXISTS (
    FROM tag_moves
    WHERE CASE $kind
        WHEN 'ou' THEN is_in_unit(ou_path, $value)
        WHEN 'account' THEN account_id = $value
        WHEN 'region' THEN region = $value
        WHEN 'owner' THEN owner = $value
    END
) AS known
