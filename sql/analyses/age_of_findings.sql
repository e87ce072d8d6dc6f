-- How old are the open findings? For those whose start is unknown, the days are a minimum.
SELECT
    CASE
        WHEN age_days < 7 THEN '1: under a week'
        WHEN age_days < 30 THEN '2: under 30 days'
        WHEN age_days < 90 THEN '3: under 90 days'
        ELSE '4: 90 days and more'
    END AS age,
    count(*) AS findings,
    count(*) FILTER (WHERE NOT started_known) AS started_unknown,
    count(*) FILTER (WHERE NOT observed) AS not_seen_today
FROM findings
WHERE policy_id = $policy_id
GROUP BY age
ORDER BY age;
