-- open_findings: one row per repository that is open under the first policy, the one that decides most framework sections.
-- key: repository_arn.  from: findings, policies, section_policies.
-- A view of findings, which has one row per policy; here a repository is counted once. Waived findings are
-- included, with waived. The order of policies is that of sql/pages/policies.sql.
SELECT *
FROM findings
WHERE policy_id = (
    SELECT p.policy_id
    FROM policies AS p
    LEFT JOIN section_policies AS s USING (policy_id)
    GROUP BY p.policy_id
    ORDER BY count(s.section_id) DESC, p.policy_id
    LIMIT 1
)
