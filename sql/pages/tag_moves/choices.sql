-- choices: one row per value of a filter: all units, and the 200 accounts and owners with most overwrites.
-- key: kind, value.  from: ou_compliance, tag_moves.
-- kind: ou, account (whose label is its name), owner.
SELECT
    kind,
    value,
    label
FROM (
    SELECT DISTINCT
        'ou' AS kind,
        ou_path AS value,
        NULL AS label
    FROM ou_compliance
    UNION ALL
    (
        SELECT
            'account',
            account_id,
            any_value(account_name)
        FROM tag_moves
        GROUP BY account_id
        ORDER BY count(*) DESC, account_id
        LIMIT 200
    )
    UNION ALL
    (
        SELECT
            'owner',
            owner,
            NULL
        FROM tag_moves
        GROUP BY owner
        ORDER BY count(*) DESC, owner
        LIMIT 200
    )
)
ORDER BY kind, value
