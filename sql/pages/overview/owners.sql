-- owners: one row per owner with incompliant repositories without a waiver, most first.
-- key: owner, account_id.  from: owner_compliance.
-- account_id is NULL where tags name the owner, who is otherwise the account. to_fix + waived = incompliant.
SELECT
    owner,
    CASE WHEN scope_type = 'untagged' THEN scope_id END AS account_id,
    incompliant - waived AS to_fix,
    waived,
    incompliant
FROM owner_compliance
WHERE policy_id = $policy_id
    AND incompliant > waived
ORDER BY to_fix DESC, owner, account_id
LIMIT $shown
