-- trend: one row per night of the last year: the organization's compliance in a section, and its coverage.
-- key: snapshot_date.  from: section_compliance.
SELECT
    snapshot_date,
    compliance_percent,
    coverage_percent
FROM section_compliance
WHERE section_id = $section_id
    AND scope_type = 'organization'
    AND snapshot_date > (SELECT max(snapshot_date) - INTERVAL 1 YEAR FROM publication)
ORDER BY snapshot_date
