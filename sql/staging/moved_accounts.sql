-- moved_accounts: one row per account that is in another organizational unit than in the evaluated snapshot before.
-- key: account_id.  from: lake.accounts, lake.previous_accounts.
-- A unit is identified by its id: renaming it, or one above it, does not move accounts.
SELECT
    account_id,
    a.ou_id,
    a.ou_path,
    b.ou_id AS previous_ou_id,
    b.ou_path AS previous_ou_path
FROM lake.accounts AS a
JOIN lake.previous_accounts AS b USING (account_id)
WHERE a.ou_id IS DISTINCT FROM b.ou_id
