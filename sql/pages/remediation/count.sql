-- count: the one row with the number of matching rows of the remediation plan, and by action.
-- from: remediation/matching.
SELECT
    count(*) AS findings,
    count(*) FILTER (WHERE action = 'FIX_BY_API') AS by_api,
    count(*) FILTER (WHERE action = 'FIX_IN_CODE') AS in_code,
    count(*) FILTER (WHERE action = 'HOLD') AS held,
    count(*) FILTER (WHERE NOT closes_finding) AS left_open
FROM {remediation/matching}
