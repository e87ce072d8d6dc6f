-- section_compliance: one row per evaluated snapshot, framework section and scope, with its display names.
-- key: snapshot_date, section_id, scope_type, scope_id, ou_id.  from: lake.section_compliance_history, catalog.sections.
-- Names are today's; a section that the catalog no longer has has none. Accounts are included for the newest snapshot
-- only: with all sections of each they would be millions of rows a year. compliance_daily has them of every day, by
-- policy, and lake_section_compliance of lake.sql by section.
SELECT
    h.snapshot_date,
    h.framework_id,
    s.framework_name,
    h.section_id,
    s.section_number,
    s.title AS section_title,
    s.position,
    h.* EXCLUDE (snapshot_date, framework_id, section_id)
FROM lake.section_compliance_history AS h
LEFT JOIN catalog.sections AS s USING (section_id)
WHERE h.scope_type <> 'account'
    OR h.snapshot_date = $snapshot_date
