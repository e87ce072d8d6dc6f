-- sections_below: one row per section below a section at any depth, or of the whole framework ($section_id is NULL), in the
-- order of the tree, with the organization's result. A section that came after the night was evaluated has none.
-- key: section_id.  from: sections, section_compliance.
WITH RECURSIVE tree AS (
    SELECT
        section_id,
        0 AS depth
    FROM sections
    WHERE framework_id = $framework_id
        AND parent_id IS NOT DISTINCT FROM $section_id
    UNION ALL
    SELECT
        child.section_id,
        depth + 1
    FROM sections AS child
    JOIN tree ON tree.section_id = child.parent_id
)

SELECT
    section_id,
    section.title,
    depth,
    withdrawn,
    coalesce(result.sub_sections, section.sub_sections) AS sub_sections,
    coalesce(internal_rules, 0) AS internal_rules,
    coalesce(policies, 0) AS policies,
    coalesce(flags, []) AS flags,
    compliant,
    incompliant,
    compliance_percent
FROM tree
JOIN sections AS section USING (section_id)
LEFT JOIN (
    FROM section_compliance
    WHERE framework_id = $framework_id
        AND scope_type = 'organization'
        AND snapshot_date = (SELECT snapshot_date FROM publication)
) AS result USING (section_id)
ORDER BY section.position
