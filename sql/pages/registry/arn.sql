-- arn: the ARN of the registry of an account and region, as long as a table has data on it.
-- key: arn.  from: registries, policy_output, findings_history, changes.
SELECT registry_arn AS arn
FROM registries
WHERE account_id = $account_id AND region = $region
UNION
SELECT object_id
FROM policy_output
WHERE account_id = $account_id AND region = $region AND resource_type(object_id) = 'registry'
UNION
SELECT repository_arn
FROM findings_history
WHERE account_id = $account_id AND region = $region AND object_type = 'registry'
UNION
SELECT repository_arn
FROM changes
WHERE account_id = $account_id AND region = $region AND object_type = 'registry'
