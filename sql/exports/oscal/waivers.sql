-- waivers: one row per waiver of a policy that a framework's sections hold, expired ones included.
-- key: waiver_id.  from: waivers, findings, section_policies, sections.
-- $framework_id; $account_id: waivers with findings in this account; NULL: all.
SELECT
    w.waiver_id,
    w.policy_id,
    w.reason,
    w.owner,
    w.ticket,
    w.approved_by,
    w.created,
    w.expires,
    w.status,
    w.matched_findings
FROM waivers AS w
WHERE w.policy_id IN (
    SELECT h.policy_id
    FROM section_policies AS h
    JOIN sections AS s USING (section_id)
    WHERE s.framework_id = $framework_id
)
AND (
    $account_id IS NULL
    OR w.waiver_id IN (SELECT waiver_id FROM findings WHERE account_id = $account_id)
)
ORDER BY w.waiver_id
