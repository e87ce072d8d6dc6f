-- rules: one row per action and rule of the matching rows of the remediation plan: what can be done first, then by number.
-- key: action, rule.  from: remediation/matching.
SELECT
    action,
    rule,
    count(*) AS findings,
    count(DISTINCT account_id) AS accounts,
    median(evidence_nights) AS evidence_nights
FROM {remediation/matching}
GROUP BY action, rule
ORDER BY list_position(['FIX_BY_API', 'FIX_IN_CODE', 'HOLD'], action), findings DESC, rule
