-- count: the one row with the number of matching findings, waived and not evaluated ones apart.
-- from: findings/matching.
SELECT
    count(*) AS findings,
    count(*) FILTER (WHERE status <> 'INCOMPLIANT') AS not_evaluated,
    count(*) FILTER (WHERE waived) AS waived
FROM {findings/matching}
