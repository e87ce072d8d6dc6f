SELECT
    framework_name,
    section_title,
    sub_sections,
    internal_rules,
    policies,
    incompliant - waived AS to_fix,
    waived,
    compliance_percent AS compliance
FROM section_compliance
WHERE snapshot_date = newest_night()
    AND section_id IN (SELECT section_id FROM section_policies)
    AND is_chosen_scope(scope_type, scope_id);
