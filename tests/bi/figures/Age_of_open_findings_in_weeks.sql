SELECT
    age_days // 7 AS age_weeks,
    CASE WHEN waived THEN 'is waived' WHEN started_known THEN 'start known' ELSE 'at least this old' END AS series,
    count(*) AS value
FROM findings
WHERE policy_id = getvariable('policy')
    AND is_chosen(ou_path)
    AND is_chosen_account(account_name, account_id)
    AND (getvariable('waived') IS NULL OR waived = (getvariable('waived') = 'yes'))
    AND owner_name(owner, owner_source) = coalesce(getvariable('owner'), owner_name(owner, owner_source))
    AND region = coalesce(getvariable('region'), region)
    AND repository_name = coalesce(getvariable('repository'), repository_name)
GROUP BY ALL;
