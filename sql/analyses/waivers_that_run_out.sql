-- Which waivers expire within 30 days, have expired, or cover nothing?
SELECT
    waiver_id,
    status,
    expires,
    days_left,
    matched_findings,
    owner,
    ticket,
    reason
FROM waivers
WHERE status <> 'active'
ORDER BY days_left, waiver_id;
