-- objects: one row per policy of a framework, and repository or registry of an account: its verdict.
-- key: policy_id, object_id.  from: policy_output, findings, section_policies, sections.
-- $framework_id, $account_id.
SELECT
    o.policy_id,
    o.object_id,
    o.region,
    o.owner,
    o.status,
    o.current_state_message,
    o.incompliant_start_date,
    o.observed,
    f.waiver_id
FROM policy_output AS o
LEFT JOIN findings AS f ON f.policy_id = o.policy_id AND f.repository_arn = o.object_id
WHERE o.account_id = $account_id
    AND o.policy_id IN (
        SELECT h.policy_id
        FROM section_policies AS h
        JOIN sections AS s USING (section_id)
        WHERE s.framework_id = $framework_id
    )
ORDER BY o.policy_id, o.object_id
