-- count: the one row with the number of matching findings, waived and not evaluated ones apart, and the latter by reason.
-- from: findings/matching.
SELECT
    count(*) AS findings,
    count(*) FILTER (WHERE status <> 'INCOMPLIANT') AS not_evaluated,
    count(*) FILTER (WHERE undetermined_reason = 'not_seen') AS not_seen,
    count(*) FILTER (WHERE undetermined_reason = 'not_read') AS not_read,
    count(*) FILTER (WHERE undetermined_reason = 'unknown_value') AS unknown_value,
    count(*) FILTER (WHERE waived) AS waived,
    count(*) FILTER (WHERE waived AND status <> 'INCOMPLIANT') AS waived_not_evaluated
FROM {findings/matching}
