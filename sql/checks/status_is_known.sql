-- severity: fail
-- There are five statuses, and each verdict has one of them.
SELECT
    policy_id,
    object_id,
    status
FROM lake.policy_output
WHERE is_status(status) IS DISTINCT FROM TRUE
