-- severity: fail
-- The organization's counts of a section are the sum of those of its policies.
WITH closure_policies AS (
    SELECT DISTINCT
        c.section_id,
        h.policy_id
    FROM catalog.section_closure AS c
    JOIN catalog.section_policies AS h ON h.section_id = c.descendant_section_id
),

sums AS (
    SELECT
        c.section_id,
        sum(r.compliant) AS compliant,
        sum(r.incompliant) AS incompliant,
        sum(r.undetermined) AS undetermined,
        sum(r.inapplicable) AS inapplicable,
        sum(r.disappeared) AS disappeared
    FROM closure_policies AS c
    JOIN marts.policy_run AS r USING (policy_id)
    GROUP BY ALL
)

SELECT
    section_id,
    [o.compliant, o.incompliant, o.undetermined, o.inapplicable, o.disappeared]::BIGINT[] AS section_counts,
    [n.compliant, n.incompliant, n.undetermined, n.inapplicable, n.disappeared]::BIGINT[] AS policy_counts
FROM marts.section_compliance AS o
JOIN sums AS n USING (section_id)
WHERE o.scope_type = 'organization'
    AND section_counts IS DISTINCT FROM policy_counts
