-- count: the one row that says how many findings fit a filter, and how many of them stand out.
-- from: findings/matching.
SELECT
    count(*) AS findings,
    count(*) FILTER (WHERE status <> 'INCOMPLIANT') AS not_evaluated,
    count(*) FILTER (WHERE waived) AS waived
FROM {findings/matching}
