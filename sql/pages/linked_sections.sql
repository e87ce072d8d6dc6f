-- linked_sections: one row per framework section that holds a policy itself, with the organization's result.
-- key: section_id.  from: section_compliance, section_policies.
SELECT
    framework_id,
    framework_name,
    section_id,
    section_title,
    sub_sections,
    internal_rules,
    policies,
    flags,
    compliant,
    incompliant,
    compliance_percent
FROM section_compliance
WHERE snapshot_date = (SELECT snapshot_date FROM publication)
    AND scope_type = 'organization'
    AND section_id IN (SELECT section_id FROM section_policies WHERE policy_id = $policy_id)
ORDER BY framework_name, position
