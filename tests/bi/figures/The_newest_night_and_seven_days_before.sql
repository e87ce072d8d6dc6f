WITH chosen AS (
    SELECT *
    FROM daily
    WHERE policy_id = getvariable('policy')
        AND is_chosen_scope(scope_type, scope_id)
),

compared AS (
    SELECT
        n.compliance_percent AS compliance,
        n.compliance_percent_with_waivers AS with_waivers,
        n.incompliant - n.waived AS to_fix,
        n.waived,
        n.coverage_percent AS coverage,
        b.compliance_percent AS compliance_before,
        b.compliance_percent_with_waivers AS with_waivers_before,
        b.incompliant - b.waived AS to_fix_before,
        b.waived AS waived_before,
        b.coverage_percent AS coverage_before
    FROM chosen AS n
    LEFT JOIN chosen AS b ON b.snapshot_date = n.snapshot_date - 7
    WHERE n.snapshot_date = newest_night()
)

SELECT
    figure,
    newest,
    before,
    newest - before AS difference,
    difference_in
FROM (
    SELECT 'Compliance, %' AS figure, compliance AS newest, compliance_before AS before, 'points' AS difference_in
    FROM compared
    UNION ALL
    SELECT 'Compliance with waivers, %', with_waivers, with_waivers_before, 'points'
    FROM compared
    UNION ALL
    SELECT 'To fix', to_fix, to_fix_before, 'repositories'
    FROM compared
    UNION ALL
    SELECT 'Waived', waived, waived_before, 'repositories'
    FROM compared
    UNION ALL
    SELECT 'Coverage, %', coverage, coverage_before, 'points'
    FROM compared
);
