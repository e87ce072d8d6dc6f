-- section: the framework section of an id, with the organization's result and the sections above it, from the top.
-- key: section_id.  from: sections, section_compliance.
WITH RECURSIVE above AS (
    SELECT
        section_id,
        title,
        parent_id,
        0 AS steps
    FROM sections
    WHERE section_id = $section_id
    UNION ALL
    SELECT
        parent.section_id,
        parent.title,
        parent.parent_id,
        steps + 1
    FROM sections AS parent
    JOIN above ON parent.section_id = above.parent_id
)

SELECT
    section_id,
    section.title,
    section.framework_id,
    section.framework_name,
    withdrawn,
    section.sub_sections,
    coalesce(internal_rules, 0) AS internal_rules,
    coalesce(policies, 0) AS policies,
    coalesce(flags, []) AS flags,
    compliant,
    incompliant,
    undetermined,
    waived,
    compliance_percent,
    compliance_percent_with_waivers,
    (
        SELECT list({'section_id': section_id, 'title': title} ORDER BY steps DESC)
        FROM above
        WHERE steps > 0
    ) AS above
FROM sections AS section
LEFT JOIN (
    FROM section_compliance
    WHERE section_id = $section_id
        AND scope_type = 'organization'
        AND snapshot_date = (SELECT snapshot_date FROM publication)
) AS result USING (section_id)
WHERE section_id = $section_id
