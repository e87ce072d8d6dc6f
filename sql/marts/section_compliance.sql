-- section_compliance: one row per framework section and scope: the compliance of objects under its policies.
-- key: section_id, scope_type, scope_id, ou_id.  from: marts.scope_compliance, catalog.*.
-- A section counts distinct (policy, object) pairs of its own and its sub-sections' policies, however many ways lead to
-- them. compliance_percent is compliant / (compliant + incompliant): undetermined ones are a separate column. NULL
-- means "no data", not 0. compliance_percent_with_waivers leaves out verdicts that are
-- waived.
-- The organization has a row for every section; OUs and accounts only for sections with a policy, mapped or inherited.
WITH closure_policies AS (
    SELECT DISTINCT
        c.section_id,
        h.policy_id
    FROM catalog.section_closure AS c
    JOIN catalog.section_policies AS h ON h.section_id = c.descendant_section_id
),

rules AS (
    SELECT
        c.section_id,
        count(DISTINCT r.internal_rule)::INTEGER AS internal_rules
    FROM closure_policies AS c
    JOIN (SELECT policy_id, unnest(internal_rules) AS internal_rule FROM catalog.policies) AS r USING (policy_id)
    GROUP BY c.section_id
),

section_facts AS (
    SELECT
        s.section_id,
        s.framework_id,
        s.sub_sections,
        coalesce(any_value(r.internal_rules), 0) AS internal_rules,
        count(p.policy_id)::INTEGER AS policies,
        coalesce(list_sort(list_distinct(flatten(list(p.flags) FILTER (WHERE p.policy_id IS NOT NULL)))), []) AS flags
    FROM catalog.sections AS s
    LEFT JOIN closure_policies AS c USING (section_id)
    LEFT JOIN catalog.policies AS p USING (policy_id)
    LEFT JOIN rules AS r USING (section_id)
    GROUP BY ALL
),

scopes AS (
    SELECT DISTINCT
        scope_type,
        scope_id,
        ou_id,
        coverage_percent
    FROM marts.scope_compliance
    WHERE scope_type IN ('organization', 'ou', 'account')
),

counted AS (
    SELECT
        f.framework_id,
        f.section_id,
        s.scope_type,
        s.scope_id,
        s.ou_id,
        f.sub_sections,
        f.internal_rules,
        f.policies,
        f.flags,
        coalesce(sum(n.compliant), 0)::BIGINT AS compliant,
        coalesce(sum(n.incompliant), 0)::BIGINT AS incompliant,
        coalesce(sum(n.undetermined), 0)::BIGINT AS undetermined,
        coalesce(sum(n.inapplicable), 0)::BIGINT AS inapplicable,
        coalesce(sum(n.disappeared), 0)::BIGINT AS disappeared,
        coalesce(sum(n.waived), 0)::BIGINT AS waived,
        s.coverage_percent
    FROM section_facts AS f
    JOIN scopes AS s ON s.scope_type = 'organization' OR f.policies > 0
    LEFT JOIN closure_policies AS c ON c.section_id = f.section_id
    LEFT JOIN marts.scope_compliance AS n
        ON n.policy_id = c.policy_id
        AND n.scope_type = s.scope_type
        AND n.scope_id = s.scope_id
        AND n.ou_id IS NOT DISTINCT FROM s.ou_id
    GROUP BY ALL
)

SELECT
    * EXCLUDE (coverage_percent),
    compliance_percent(compliant, incompliant) AS compliance_percent,
    compliance_percent(compliant, incompliant - waived) AS compliance_percent_with_waivers,
    coverage_percent
FROM counted
