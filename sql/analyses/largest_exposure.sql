-- In which accounts would one fix help most: the share of all open findings that an account holds?
SELECT
    account_id,
    account_name,
    ou_path,
    count(*) AS findings,
    round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS percent_of_all,
    round(100.0 * sum(count(*)) OVER (ORDER BY count(*) DESC, account_id) / sum(count(*)) OVER (), 1) AS percent_so_far
FROM findings
WHERE policy_id = $policy_id
GROUP BY account_id, account_name, ou_path
ORDER BY findings DESC, account_id
LIMIT 20;
