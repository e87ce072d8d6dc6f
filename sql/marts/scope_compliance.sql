-- scope_compliance: one row per policy and scope: the organization, an OU with those below it, an account, an owner, a
-- region; how the repositories in it fare.
-- key: policy_id, scope_type, scope_id.  from: lake.policy_output, marts.waived_findings, staging.owners,
-- staging.account_scopes, lake.scan_targets, catalog.policies.
-- A scope without verdicts is here with zeros. compliance_percent is compliant / (compliant + incompliant), and
-- compliance_percent_with_waivers is compliant / (compliant + incompliant - waived): a risk that was accepted leaves the
-- count, but never becomes evidence of compliance. NULL means "no data". An owner has no targets, and so no coverage.
WITH verdicts AS (
    SELECT
        o.policy_id,
        o.account_id,
        o.region,
        coalesce(w.owner, a.account_name, o.account_id) AS owner,
        o.status,
        v.waiver_id
    FROM lake.policy_output AS o
    LEFT JOIN staging.owners AS w USING (object_id)
    LEFT JOIN lake.accounts AS a ON a.account_id = o.account_id
    LEFT JOIN marts.waived_findings AS v ON v.policy_id = o.policy_id AND v.object_id = o.object_id
),

counts AS (
    SELECT
        policy_id,
        account_id,
        region,
        owner,
        count(*) FILTER (WHERE status = 'COMPLIANT') AS compliant,
        count(*) FILTER (WHERE status = 'INCOMPLIANT') AS incompliant,
        count(*) FILTER (WHERE status = 'UNDETERMINED') AS undetermined,
        count(*) FILTER (WHERE status = 'INAPPLICABLE') AS inapplicable,
        count(*) FILTER (WHERE status = 'DISAPPEARED') AS disappeared,
        count(*) FILTER (WHERE status = 'INCOMPLIANT' AND waiver_id IS NOT NULL) AS waived
    FROM verdicts
    -- Each for itself: of accounts x regions x owners there can be as many as repositories.
    GROUP BY GROUPING SETS ((policy_id, account_id), (policy_id, region), (policy_id, owner))
),

scoped_counts AS (
    SELECT
        s.scope_type,
        s.scope_id,
        c.* EXCLUDE (account_id, region, owner)
    FROM counts AS c
    JOIN staging.account_scopes AS s USING (account_id)
    UNION ALL
    SELECT
        CASE WHEN region IS NULL THEN 'owner' ELSE 'region' END AS scope_type,
        coalesce(region, owner) AS scope_id,
        * EXCLUDE (account_id, region, owner)
    FROM counts
    WHERE account_id IS NULL
),

scopes AS (
    SELECT
        s.scope_type,
        s.scope_id,
        coverage_percent(t.outcome) AS coverage_percent
    FROM staging.account_scopes AS s
    LEFT JOIN lake.scan_targets AS t USING (account_id)
    GROUP BY ALL
    UNION ALL
    SELECT
        'region' AS scope_type,
        coalesce(t.region, c.region) AS scope_id,
        coverage_percent(t.outcome) AS coverage_percent
    FROM lake.scan_targets AS t
    FULL JOIN (SELECT DISTINCT region FROM counts WHERE region IS NOT NULL) AS c USING (region)
    GROUP BY ALL
    UNION ALL
    SELECT DISTINCT
        'owner' AS scope_type,
        owner AS scope_id,
        NULL AS coverage_percent
    FROM counts
    WHERE owner IS NOT NULL
    UNION ALL
    -- Without any account there still is an organization, of which nothing is known.
    SELECT 'organization', 'organization', NULL
    WHERE NOT EXISTS (FROM staging.account_scopes)
),

summed AS (
    SELECT
        p.policy_id,
        s.scope_type,
        s.scope_id,
        coalesce(sum(c.compliant), 0)::BIGINT AS compliant,
        coalesce(sum(c.incompliant), 0)::BIGINT AS incompliant,
        coalesce(sum(c.undetermined), 0)::BIGINT AS undetermined,
        coalesce(sum(c.inapplicable), 0)::BIGINT AS inapplicable,
        coalesce(sum(c.disappeared), 0)::BIGINT AS disappeared,
        coalesce(sum(c.waived), 0)::BIGINT AS waived,
        s.coverage_percent
    FROM scopes AS s
    CROSS JOIN catalog.policies AS p
    LEFT JOIN scoped_counts AS c USING (policy_id, scope_type, scope_id)
    GROUP BY ALL
)

SELECT
    * EXCLUDE (coverage_percent),
    compliance_percent(compliant, incompliant) AS compliance_percent,
    compliance_percent(compliant, incompliant - waived) AS compliance_percent_with_waivers,
    coverage_percent
FROM summed
