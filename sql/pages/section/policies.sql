-- policies: one row per policy and section (this one or one below it) that holds it, with the organization's result.
-- key: section_id, policy_id.  from: sections, section_policies, pages/policies,
-- compliance_daily.
-- inherited_title is the similar section that handed the policy on; null when it is mapped directly.
WITH RECURSIVE closure AS (
    SELECT section_id
    FROM sections
    WHERE section_id = $section_id
    UNION ALL
    SELECT child.section_id
    FROM sections AS child
    JOIN closure ON child.parent_id = closure.section_id
)

SELECT
    section_id,
    section.title AS section_title,
    policy_id,
    contextual_name,
    flags,
    inherited_from,
    source.title AS inherited_title,
    source.framework_name AS inherited_framework,
    compliant,
    incompliant,
    compliance_percent
FROM closure
JOIN sections AS section USING (section_id)
JOIN section_policies USING (section_id)
JOIN {policies} AS p USING (policy_id)
LEFT JOIN sections AS source ON source.section_id = inherited_from
LEFT JOIN (
    FROM compliance_daily
    WHERE scope_type = 'organization'
        AND snapshot_date = (SELECT snapshot_date FROM publication)
) USING (policy_id)
ORDER BY section.position, p.place
