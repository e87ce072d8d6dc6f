WITH units AS (
    SELECT *
    FROM daily
    WHERE scope_type = 'ou'
        AND policy_id = getvariable('policy')
        AND is_within(scope_id, getvariable('within'))
        AND (getvariable('unit') IS NULL OR scope_id = getvariable('unit'))
)

SELECT
    n.scope_id AS unit,
    n.incompliant - n.waived AS newest_to_fix,
    n.waived AS newest_waived,
    n.compliant + n.incompliant AS newest_evaluated,
    n.compliance_percent AS newest_compliance,
    n.compliance_percent - b.compliance_percent AS points_in_7_days,
    n.compliance_percent_with_waivers AS newest_compliance_with_waivers,
    n.coverage_percent AS newest_coverage
FROM units AS n
LEFT JOIN units AS b ON b.scope_id = n.scope_id AND b.snapshot_date = n.snapshot_date - 7
WHERE n.snapshot_date = newest_night();
