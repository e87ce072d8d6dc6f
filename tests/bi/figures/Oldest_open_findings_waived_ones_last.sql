SELECT
    owner_name(owner, owner_source) AS owner,
    account(account_name, account_id) AS account,
    region,
    repository_name,
    strftime(incompliant_start_date, '%Y-%m-%d') || if(started_known, '', ' or earlier') AS since,
    age_days AS age,
    if(observed, 'yes', 'no') AS seen,
    if(waived, 'yes', 'no') AS waived
FROM findings
WHERE policy_id = getvariable('policy')
    AND is_chosen(ou_path)
    AND is_chosen_account(account_name, account_id)
    AND (getvariable('waived') IS NULL OR waived = (getvariable('waived') = 'yes'))
    AND CASE getvariable('age_is')
        WHEN 'is waived' THEN waived
        WHEN 'start known' THEN started_known AND NOT waived
        WHEN 'at least this old' THEN NOT started_known AND NOT waived
        ELSE TRUE
    END;
