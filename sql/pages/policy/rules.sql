-- rules: one row per internal rule that a policy covers, with how many policies cover it, and their flags.
-- key: internal_rule.  from: policies.
WITH covered AS (
    SELECT
        policy_id,
        flags,
        unnest(internal_rules) AS internal_rule
    FROM policies
)

SELECT
    internal_rule,
    count(*) AS policies,
    list_sort(list_distinct(flatten(list(flags)))) AS flags
FROM covered
GROUP BY internal_rule
HAVING bool_or(policy_id = $policy_id)
ORDER BY internal_rule
