-- unevaluated: the one row with the numbers of verdicts, under some policies, that are neither COMPLIANT nor INCOMPLIANT.
-- from: policy_output.
-- not_seen, not_read and unknown_value: UNDETERMINED, by undetermined_reason. inactive: INAPPLICABLE and not seen, since the
-- account is not active or has left the organization.
SELECT
    count(*) FILTER (WHERE undetermined_reason(status, condition_index) = 'not_seen') AS not_seen,
    count(*) FILTER (WHERE undetermined_reason(status, condition_index) = 'not_read') AS not_read,
    count(*) FILTER (WHERE undetermined_reason(status, condition_index) = 'unknown_value') AS unknown_value,
    count(*) FILTER (WHERE status = 'INAPPLICABLE' AND NOT observed) AS inactive
FROM policy_output
WHERE list_contains($policy_ids, policy_id)
