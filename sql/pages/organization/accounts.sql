-- accounts: one row per account in a unit or below it ('': anywhere) whose name or id contains the search.
-- key: account_id.  from: account_compliance.
-- sort: findings (most first), compliance (least first), coverage (least first), name.
SELECT
    account_id,
    account_name,
    state,
    ou_path,
    compliant,
    incompliant,
    undetermined,
    waived,
    compliance_percent,
    coverage_percent
FROM account_compliance
WHERE policy_id = $policy_id
    AND ($ou = '' OR is_in_unit(ou_path, $ou))
    AND (contains(account_id, $search) OR contains(lower(account_name), lower($search)))
ORDER BY
    CASE $sort WHEN 'findings' THEN -incompliant WHEN 'compliance' THEN compliance_percent WHEN 'coverage' THEN coverage_percent END
        NULLS LAST,
    lower(account_name),
    account_id
LIMIT $size OFFSET $offset
