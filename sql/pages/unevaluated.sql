-- unevaluated: the one row with the numbers of verdicts, under some policies, that are neither COMPLIANT nor INCOMPLIANT.
-- from: policy_output.
-- not_seen and unknown_value: UNDETERMINED, since the repository was not seen, or has a value that the policy does not
-- know. inactive: INAPPLICABLE and not seen, since the account is not active or has left the organization.
SELECT
    count(*) FILTER (WHERE status = 'UNDETERMINED' AND NOT observed) AS not_seen,
    count(*) FILTER (WHERE status = 'UNDETERMINED' AND observed) AS unknown_value,
    count(*) FILTER (WHERE status = 'INAPPLICABLE' AND NOT observed) AS inactive
FROM policy_output
WHERE list_contains($policy_ids, policy_id)
