WITH units AS (
    SELECT *
    FROM daily
    WHERE scope_type = 'ou'
        AND policy_id = getvariable('policy')
        AND is_within(scope_id, getvariable('within'))
        AND (getvariable('unit') IS NULL OR scope_id = getvariable('unit'))
        AND is_chosen_night(snapshot_date)
),

-- A unit that is no longer there comes last.
worst AS (
    SELECT u.scope_id
    FROM (SELECT DISTINCT scope_id FROM units) AS u
    LEFT JOIN daily AS n
        ON n.scope_id = u.scope_id
        AND n.scope_type = 'ou'
        AND n.policy_id = getvariable('policy')
        AND n.snapshot_date = newest_night()
    ORDER BY n.snapshot_date IS NULL, n.compliance_percent_with_waivers NULLS LAST, u.scope_id
    LIMIT 12
)

SELECT
    epoch_ms(snapshot_date) AS snapshot_date,
    scope_id AS series,
    compliance_percent AS value
FROM units
SEMI JOIN worst USING (scope_id);
