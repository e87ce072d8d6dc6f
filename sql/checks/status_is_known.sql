-- severity: fail
-- There are five statuses, and each verdict has one of them.
SELECT
    policy_id,
    object_id,
    status
FROM lake.policy_output
WHERE status IS NULL
    OR status NOT IN ('COMPLIANT', 'INCOMPLIANT', 'UNDETERMINED', 'INAPPLICABLE', 'DISAPPEARED')
