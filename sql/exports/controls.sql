-- controls: one row per section of each framework: its assessment, for GRC tools.
-- key: section_id.  from: section_compliance, sections, section_policies, policies, findings, publication.
-- Counts and percentages are those of section_compliance: a section counts the policies of its sub-sections, too.
-- $account_id: in this account, and then only sections with a policy; NULL: in the organization.
-- status is empty where there is nothing to judge. reason and status as in the OSCAL files: satisfied only where all was
-- seen and complies.
WITH RECURSIVE closure AS (
    SELECT
        section_id,
        section_id AS descendant_section_id
    FROM sections
    UNION ALL
    SELECT
        s.parent_id AS section_id,
        c.descendant_section_id
    FROM closure AS c
    JOIN sections AS s USING (section_id)
    WHERE s.parent_id IS NOT NULL
),

held AS (
    SELECT DISTINCT
        c.section_id,
        h.policy_id
    FROM closure AS c
    JOIN section_policies AS h ON h.section_id = c.descendant_section_id
),

versions AS (
    SELECT
        h.section_id,
        list(p.policy_id ORDER BY p.policy_id) AS policy_ids,
        list(p.policy_hash ORDER BY p.policy_id) AS policy_hashes
    FROM held AS h
    JOIN policies AS p USING (policy_id)
    GROUP BY h.section_id
),

-- First by policy: a list with the waiver of each finding of each section does not fit into memory.
findings_of_policies AS (
    SELECT
        policy_id,
        min(incompliant_start_date) AS oldest_finding,
        coalesce(list(DISTINCT waiver_id) FILTER (WHERE waiver_id IS NOT NULL), []) AS waivers
    FROM findings
    WHERE $account_id IS NULL
        OR account_id = $account_id
    GROUP BY policy_id
),

open_stretches AS (
    SELECT
        h.section_id,
        min(f.oldest_finding) AS oldest_finding,
        list_sort(list_distinct(flatten(list(f.waivers)))) AS waivers
    FROM held AS h
    JOIN findings_of_policies AS f USING (policy_id)
    GROUP BY h.section_id
),

assessed AS (
    SELECT
        c.*,
        assessment_reason(c.compliant, c.incompliant, c.waived, c.undetermined, c.coverage_percent) AS reason
    FROM section_compliance AS c
    JOIN publication AS p USING (snapshot_date)
    WHERE c.scope_type = CASE WHEN $account_id IS NULL THEN 'organization' ELSE 'account' END
        AND c.scope_id = coalesce($account_id, 'organization')
)

SELECT
    a.framework_name AS framework,
    a.section_number AS control_id,
    a.section_title AS title,
    CASE WHEN a.reason = 'pass' THEN 'satisfied' WHEN a.reason IS NOT NULL THEN 'not-satisfied' END AS status,
    a.reason,
    a.policies,
    a.compliant,
    a.incompliant,
    a.waived,
    a.undetermined,
    a.inapplicable,
    a.disappeared,
    a.compliance_percent,
    a.compliance_percent_with_waivers,
    a.coverage_percent,
    o.oldest_finding,
    o.waivers,
    a.snapshot_date,
    p.inventory_commit,
    p.compliance_commit,
    v.policy_ids,
    v.policy_hashes,
    a.section_id,
    p.organization_id
FROM assessed AS a
LEFT JOIN open_stretches AS o USING (section_id)
LEFT JOIN versions AS v USING (section_id)
CROSS JOIN publication AS p
ORDER BY a.framework_name, a.position
