-- strict: one row per section of a framework and policy whose reading is stricter than that of the section's policies, with the
-- organization's result by each reading.
-- key: section_id, strict_policy_id.  from: sections, section_policies, section_compliance, policies, compliance_daily,
-- publication.
-- The strict policy checks the same thing (similar_policies) as one of the section's, and no section of the framework holds it.
-- Its verdicts are counted in place of those. Only sections with a result that it changes.
WITH RECURSIVE closure AS (
    SELECT
        section_id,
        section_id AS below
    FROM sections
    WHERE framework_id = $framework_id
    UNION ALL
    SELECT
        closure.section_id,
        child.section_id
    FROM closure
    JOIN sections AS child ON child.parent_id = closure.below
),

held AS (
    SELECT DISTINCT
        closure.section_id,
        policy_id
    FROM closure
    JOIN section_policies ON section_policies.section_id = closure.below
),

tonight AS (
    SELECT
        policy_id,
        contextual_name,
        similar_policies,
        compliant,
        incompliant
    FROM policies
    JOIN compliance_daily USING (policy_id)
    WHERE scope_type = 'organization'
        AND snapshot_date = (SELECT snapshot_date FROM publication)
),

replaced AS (
    SELECT
        held.section_id,
        strict.policy_id AS strict_policy_id,
        strict.contextual_name AS strict_name,
        string_agg(own.contextual_name, '; ' ORDER BY own.contextual_name) AS own_name,
        max(strict.compliant) - sum(own.compliant)::BIGINT AS more_compliant,
        max(strict.incompliant) - sum(own.incompliant)::BIGINT AS more_incompliant
    FROM held
    JOIN tonight AS own USING (policy_id)
    JOIN tonight AS strict ON list_has_any(strict.similar_policies, own.similar_policies)
    WHERE strict.policy_id NOT IN (SELECT policy_id FROM held)
    GROUP BY held.section_id, strict.policy_id, strict.contextual_name
)

SELECT
    section_id,
    section_title,
    own_name,
    strict_policy_id,
    strict_name,
    compliant,
    incompliant,
    compliance_percent,
    compliant + more_compliant AS strict_compliant,
    incompliant + more_incompliant AS strict_incompliant,
    compliance_percent(compliant + more_compliant, incompliant + more_incompliant) AS strict_percent
FROM replaced
JOIN section_compliance USING (section_id)
WHERE snapshot_date = (SELECT snapshot_date FROM publication)
    AND scope_type = 'organization'
    AND (more_compliant <> 0 OR more_incompliant <> 0)
ORDER BY strict_name, position
