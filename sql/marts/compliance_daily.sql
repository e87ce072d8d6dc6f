-- compliance_daily: one row per evaluated snapshot, policy and scope: how the repositories in it fared that day.
-- key: snapshot_date, policy_id, scope_type, scope_id.  from: lake.scope_compliance_history.
-- scope_type is organization, ou (with the OUs below it), account, owner or region. Units, owners and waivers are those
-- of the day. compliance_percent_with_waivers leaves out what was waived; an owner has no coverage.
SELECT *
FROM lake.scope_compliance_history
