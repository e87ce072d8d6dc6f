-- verdicts: one row per policy of a framework, and account: the counts of its verdicts.
-- key: policy_id, account_id.  from: account_compliance, section_policies, sections.
-- $framework_id.
SELECT
    a.policy_id,
    a.account_id,
    a.compliant,
    a.incompliant,
    a.waived,
    a.undetermined,
    a.inapplicable,
    a.disappeared,
    a.compliance_percent,
    a.coverage_percent
FROM account_compliance AS a
WHERE a.policy_id IN (
    SELECT h.policy_id
    FROM section_policies AS h
    JOIN sections AS s USING (section_id)
    WHERE s.framework_id = $framework_id
)
ORDER BY a.policy_id, a.account_id
