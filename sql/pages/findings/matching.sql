-- matching: one row per matching finding; a NULL parameter matches everything. `place` is the row's place in the table.
-- key: policy_id, repository_arn.  from: findings, which is published in the order policy, oldest first.
-- Up to five words, each of which has to be in the repository's name, or in its account's.
SELECT
    rowid AS place,
    *
FROM findings
WHERE ($policy IS NULL OR policy_id = $policy)
    AND ($status IS NULL OR status = $status)
    AND ($ou IS NULL OR is_in_unit(ou_path, $ou))
    AND ($account IS NULL OR account_id = $account)
    AND ($region IS NULL OR region = $region)
    AND ($owner IS NULL OR owner = $owner)
    AND ($age IS NULL OR age_days >= $age)
    AND ($tags IS NULL OR overwritable_tags = $tags)
    AND ($waived IS NULL OR waived = $waived)
    AND ($word_1 IS NULL OR contains(lower(repository_name), $word_1)
        OR account_id IN (SELECT account_id FROM coverage WHERE contains(lower(account_name), $word_1)))
    AND ($word_2 IS NULL OR contains(lower(repository_name), $word_2)
        OR account_id IN (SELECT account_id FROM coverage WHERE contains(lower(account_name), $word_2)))
    AND ($word_3 IS NULL OR contains(lower(repository_name), $word_3)
        OR account_id IN (SELECT account_id FROM coverage WHERE contains(lower(account_name), $word_3)))
    AND ($word_4 IS NULL OR contains(lower(repository_name), $word_4)
        OR account_id IN (SELECT account_id FROM coverage WHERE contains(lower(account_name), $word_4)))
    AND ($word_5 IS NULL OR contains(lower(repository_name), $word_5)
        OR account_id IN (SELECT account_id FROM coverage WHERE contains(lower(account_name), $word_5)))
