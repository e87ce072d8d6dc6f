-- open_findings: one row per repository that is open under the mutability policy, the one that decides framework sections.
-- key: repository_arn.  from: findings.
-- A view of findings, which has every finding once for each policy: here a repository is counted once. What somebody has
-- accepted is here too; waived says so.
SELECT *
FROM findings
WHERE policy_id = '/ce/ca/aws/ecr/repository-image-tag-mutability'
