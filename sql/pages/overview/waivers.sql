-- waivers: one row per waiver of a policy that expires within 30 days, or has expired and left findings uncovered.
-- key: waiver_id.  from: waivers.
SELECT
    waiver_id,
    owner,
    reason,
    ticket,
    expires,
    days_left,
    status,
    matched_findings
FROM waivers
WHERE policy_id = $policy_id
    AND (status = 'expires_soon' OR (status = 'expired' AND matched_findings > 0))
ORDER BY expires, waiver_id
LIMIT $shown
