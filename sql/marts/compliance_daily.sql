-- compliance_daily: one row per evaluated snapshot, policy and scope: the compliance of its repositories on that day.
-- key: snapshot_date, policy_id, scope_type, scope_id, ou_id.  from: lake.scope_compliance_history.
-- scope_type is organization, ou (with the OUs below it), account, owner, untagged or region. Units, owners and waivers are
-- those of the day; two units may have one path on a day on which they are renamed. compliance_percent_with_waivers
-- leaves out what was waived; owner and untagged have no coverage.
SELECT *
FROM lake.scope_compliance_history
