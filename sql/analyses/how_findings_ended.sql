-- Were findings repaired, or did they go away for another reason? Days count where the audit saw the finding begin.
SELECT
    coalesce(ended_by, 'still open') AS ended_by,
    count(*) AS stretches,
    count(*) FILTER (WHERE NOT started_known) AS started_unknown,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY days) FILTER (WHERE started_known) AS median_days,
    max(days) FILTER (WHERE started_known) AS longest_days
FROM findings_history
WHERE policy_id = $policy_id
GROUP BY ended_by
ORDER BY stretches DESC;
