-- What is the compliance of each framework section of the policy?
SELECT
    framework_name,
    section_title,
    sub_sections,
    round(compliance_percent::NUMERIC(9, 6), 1) AS compliance_percent,
    round(coverage_percent::NUMERIC(9, 6), 1) AS coverage_percent,
    incompliant,
    undetermined
FROM section_compliance
WHERE scope_type = 'organization'
    AND snapshot_date = (SELECT snapshot_date FROM publication)
    AND section_id IN (
        SELECT section_id
        FROM section_policies
        WHERE policy_id = $policy_id
    )
ORDER BY framework_name, position;
