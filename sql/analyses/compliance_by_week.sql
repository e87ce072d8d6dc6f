-- Is it getting better? The organization's compliance at the end of each week, and how much of it was seen.
WITH last_nights AS (
    SELECT
        date_trunc('week', snapshot_date)::DATE AS week,
        max(snapshot_date) AS snapshot_date
    FROM compliance_daily
    WHERE scope_type = 'organization'
    GROUP BY 1
)

SELECT
    week,
    snapshot_date,
    round(compliance_percent::NUMERIC(9, 6), 1) AS compliance_percent,
    round(compliance_percent_with_waivers::NUMERIC(9, 6), 1) AS compliance_percent_with_waivers,
    round(coverage_percent::NUMERIC(9, 6), 1) AS coverage_percent,
    incompliant
FROM last_nights
JOIN compliance_daily USING (snapshot_date)
WHERE scope_type = 'organization'
    AND policy_id = $policy_id
ORDER BY week;
