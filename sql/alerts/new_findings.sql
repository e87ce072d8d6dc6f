-- new_findings: one row per owner and unit with findings that are new tonight, most findings first.
-- key: policy_id, owner, account_id, ou_path.  from: changes, findings, policies, section_policies, publication.
-- The most severe policy first, then by policies.position.
-- A reopened finding is new, too. Those of image tags are reported by overwritten_tags. Only policies that some framework section holds, or of a severity of HIGH or more; a
-- waived finding is left out. account_id is NULL where tags name the owner; a finding without one is its account's, not a
-- namesake's. At most $shown rows per policy, each with $examples repository names; all_findings and all_rows are the
-- policy's totals.
WITH new_findings AS (
    SELECT
        f.policy_id,
        f.owner,
        f.owner_source,
        f.ou_path,
        f.account_id,
        f.account_name,
        f.region,
        f.repository_name
    FROM changes AS c
    JOIN findings AS f USING (policy_id, repository_arn)
    WHERE c.snapshot_date = (SELECT snapshot_date FROM publication)
        -- The alert on overwritten tags reports each of their moves.
        AND c.policy_id NOT IN (SELECT policy_id FROM policies WHERE list_contains(facets, 'image_tags'))
        AND c.change IN ('new', 'reopened')
        AND NOT f.waived
        AND (
            c.policy_id IN (SELECT policy_id FROM section_policies)
            OR c.policy_id IN (SELECT policy_id FROM policies WHERE severity IN ('HIGH', 'CRITICAL'))
        )
),

by_owner AS (
    SELECT
        policy_id,
        owner,
        CASE WHEN owner_source = 'account' THEN account_id END AS owner_account_id,
        ou_path,
        count(*) AS findings,
        list(
            {name: repository_name, region: region, account_id: account_id, account_name: account_name}
            ORDER BY repository_name, account_id, region
        )[:$examples] AS repositories
    FROM new_findings
    GROUP BY policy_id, owner, owner_account_id, ou_path
)

SELECT
    o.* RENAME (owner_account_id AS account_id),
    p.contextual_name AS policy_name,
    p.severity,
    p.input,
    sum(o.findings) OVER (PARTITION BY o.policy_id)::BIGINT AS all_findings,
    count(*) OVER (PARTITION BY o.policy_id) AS all_rows
FROM by_owner AS o
JOIN policies AS p USING (policy_id)
QUALIFY row_number() OVER (PARTITION BY o.policy_id ORDER BY o.findings DESC, o.owner, o.owner_account_id, o.ou_path) <= $shown
ORDER BY
    list_position(['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], p.severity),
    p.position,
    o.findings DESC,
    o.owner,
    o.ou_path
