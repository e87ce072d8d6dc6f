-- open_findings: one row per repository that is open under the first policy, the one that is shown where there is room for
-- only one.
-- key: repository_arn.  from: findings, policies.
-- A view of findings, which has one row per policy; here a repository is counted once. Waived findings are
-- included, with waived.
SELECT *
FROM findings
WHERE policy_id = (SELECT policy_id FROM policies WHERE position = 1)
