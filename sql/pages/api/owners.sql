-- owners: one row per owner, and per account with repositories without an owner tag, under a policy.
-- key: scope_type, scope_id.  from: owner_compliance.
-- sort: owner, incompliant or compliance; with `-` before it, the last first. Ties: by name.
SELECT *
FROM owner_compliance
WHERE policy_id = $policy
ORDER BY
    CASE $sort
        WHEN 'incompliant' THEN incompliant WHEN '-incompliant' THEN -incompliant
        WHEN 'compliance' THEN compliance_percent WHEN '-compliance' THEN -compliance_percent
    END NULLS LAST,
    CASE $sort WHEN '-owner' THEN owner END DESC,
    owner,
    scope_type,
    scope_id
