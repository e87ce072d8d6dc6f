-- account_scopes: one row per scope and account in it: the organization, each OU above the account, the account itself.
-- key: scope_type, scope_id, ou_id, account_id.  from: lake.accounts, lake.policy_output.
-- An OU is identified by its ou_id, and its scope_id is its path. ou_id is NULL for other scopes, and for OUs of a
-- night that a version before 5 scanned, which did not keep the ids.
-- An account that has left is no longer in an OU, but its last known verdicts still count for the organization.
WITH known_accounts AS (
    SELECT account_id
    FROM lake.accounts
    UNION
    SELECT account_id
    FROM lake.policy_output
)

SELECT
    'organization' AS scope_type,
    'organization' AS scope_id,
    NULL AS ou_id,
    account_id
FROM known_accounts
UNION ALL
SELECT
    'ou' AS scope_type,
    unnest(units_of(ou_path)) AS scope_id,
    unnest(unit_ids) AS ou_id,
    account_id
FROM lake.accounts
UNION ALL
SELECT
    'account' AS scope_type,
    account_id AS scope_id,
    NULL AS ou_id,
    account_id
FROM known_accounts
