-- list: one row per framework: its number of sections with a result, and the organization's compliance.
-- key: framework_id.  from: frameworks, sections, section_policies, section_compliance, compliance_daily.
-- A policy counts once in a framework, however many sections hold it.
WITH counted AS (
    SELECT
        framework_id,
        count(*) AS sections,
        count(*) FILTER (WHERE compliance_percent IS NOT NULL) AS sections_with_data
    FROM section_compliance
    WHERE snapshot_date = (SELECT snapshot_date FROM publication)
        AND scope_type = 'organization'
    GROUP BY framework_id
),

held AS (
    SELECT DISTINCT
        framework_id,
        policy_id
    FROM section_policies
    JOIN sections USING (section_id)
),

evaluated AS (
    SELECT
        framework_id,
        count(*) AS policies,
        sum(compliant)::BIGINT AS compliant,
        sum(incompliant)::BIGINT AS incompliant
    FROM held
    JOIN compliance_daily USING (policy_id)
    WHERE scope_type = 'organization'
        AND snapshot_date = (SELECT snapshot_date FROM publication)
    GROUP BY framework_id
)

SELECT
    framework_id,
    name,
    coalesce(sections, 0) AS sections,
    coalesce(sections_with_data, 0) AS sections_with_data,
    coalesce(policies, 0) AS policies,
    compliant,
    incompliant,
    compliance_percent(compliant, incompliant) AS compliance_percent
FROM frameworks
LEFT JOIN counted USING (framework_id)
LEFT JOIN evaluated USING (framework_id)
ORDER BY name
