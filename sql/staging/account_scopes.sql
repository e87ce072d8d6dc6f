-- account_scopes: one row per scope and account in it: the organization, each OU above the account, the account itself.
-- key: scope_type, scope_id, account_id.  from: lake.accounts, lake.policy_output.
-- An OU's scope_id is its path: names alone are not unique, and ids of the OUs above an account are not collected.
-- An account that has left is in no OU any more, but what was known of it still counts for the organization.
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
    account_id
FROM known_accounts
UNION ALL
SELECT
    'ou' AS scope_type,
    unnest(units_of(ou_path)) AS scope_id,
    account_id
FROM lake.accounts
UNION ALL
SELECT
    'account' AS scope_type,
    account_id AS scope_id,
    account_id
FROM known_accounts
