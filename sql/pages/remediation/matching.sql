-- matching: one row per matching row of the remediation plan; a NULL parameter matches everything. `place`: in the table.
-- key: policy_id, repository_arn.  from: remediation_plan, which is published in the order policy, account, region, name.
-- managed_by `unknown` matches rows that name no tool. Up to five words, each in the repository's or its account's name.
SELECT
    rowid AS place,
    *
FROM remediation_plan
WHERE ($policy IS NULL OR policy_id = $policy)
    AND ($action IS NULL OR action = $action)
    AND ($rule IS NULL OR rule = $rule)
    AND ($managed_by IS NULL OR coalesce(managed_by, 'unknown') = $managed_by)
    AND ($ou IS NULL OR is_in_unit(ou_path, $ou))
    AND ($account IS NULL OR account_id = $account)
    AND ($region IS NULL OR region = $region)
    AND ($owner IS NULL OR owner = $owner)
    AND ($repository IS NULL OR repository_arn = $repository)
    AND ($word_1 IS NULL OR contains(lower(repository_name), $word_1) OR contains(lower(account_name), $word_1))
    AND ($word_2 IS NULL OR contains(lower(repository_name), $word_2) OR contains(lower(account_name), $word_2))
    AND ($word_3 IS NULL OR contains(lower(repository_name), $word_3) OR contains(lower(account_name), $word_3))
    AND ($word_4 IS NULL OR contains(lower(repository_name), $word_4) OR contains(lower(account_name), $word_4))
    AND ($word_5 IS NULL OR contains(lower(repository_name), $word_5) OR contains(lower(account_name), $word_5))
