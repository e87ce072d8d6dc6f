-- count: the one row with the number of matching findings, waived and not evaluated ones apart, and those not seen among the latter.
-- from: findings/matching.
SELECT
    count(*) AS findings,
    count(*) FILTER (WHERE status <> 'INCOMPLIANT') AS not_evaluated,
    count(*) FILTER (WHERE status <> 'INCOMPLIANT' AND NOT observed) AS not_seen,
    count(*) FILTER (WHERE waived) AS waived,
    count(*) FILTER (WHERE waived AND status <> 'INCOMPLIANT') AS waived_not_evaluated
FROM {findings/matching}
