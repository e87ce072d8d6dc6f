SELECT
    account(account_name, account_id) AS account,
    coverage_percent AS coverage,
    strftime(first_day_not_seen, '%Y-%m-%d') AS since,
    assume_role_denied + access_denied + throttled + failed AS regions_not_read,
    array_to_string(
        list_concat(
            if(assume_role_denied > 0, ['role denied'], []),
            if(access_denied > 0, ['access denied'], []),
            if(throttled > 0, ['throttled'], []),
            if(failed > 0, ['failed'], []),
            if(account_inactive > 0, ['account inactive'], [])
        ),
        ', '
    ) AS reason,
    repositories_unseen AS unseen
FROM coverage
WHERE is_chosen(ou_path)
    AND is_chosen_account(account_name, account_id);
