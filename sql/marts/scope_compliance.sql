-- scope_compliance: one row per policy and scope: the organization, an OU with those below it, an account, an owner
-- named by tags, an account's repositories without an owner tag (untagged), a region; the compliance of its
-- repositories.
-- key: policy_id, scope_type, scope_id, ou_id.  from: staging.verdict_counts, staging.waiver_matches, staging.account_scopes,
-- lake.scan_targets, catalog.policies.
-- A scope without verdicts has zeros. compliance_percent is compliant / (compliant + incompliant), and
-- compliance_percent_with_waivers is compliant / (compliant + incompliant - waived): a waived finding is not
-- counted, but never becomes evidence of compliance. NULL means "no data". Owners and untagged have no targets, and so no
-- coverage.
WITH waived AS (
    SELECT
        policy_id,
        account_id,
        region,
        untagged,
        owner,
        'WAIVED' AS status,
        count(DISTINCT object_id) AS verdicts
    FROM staging.waiver_matches
    WHERE status = 'INCOMPLIANT'
        AND expires > $snapshot_date
    GROUP BY GROUPING SETS ((policy_id, account_id, region, untagged), (policy_id, owner))
),

counts AS (
    SELECT * EXCLUDE (observed, fingerprint)
    FROM staging.verdict_counts
    UNION ALL BY NAME
    FROM waived
),

scoped_counts AS (
    SELECT
        s.scope_type,
        s.scope_id,
        s.ou_id,
        c.policy_id,
        c.status,
        c.verdicts
    FROM counts AS c
    JOIN staging.account_scopes AS s USING (account_id)
    UNION ALL
    SELECT
        'region' AS scope_type,
        region AS scope_id,
        NULL AS ou_id,
        policy_id,
        status,
        verdicts
    FROM counts
    WHERE region IS NOT NULL
    UNION ALL
    SELECT
        'owner' AS scope_type,
        owner AS scope_id,
        NULL AS ou_id,
        policy_id,
        status,
        verdicts
    FROM counts
    WHERE owner IS NOT NULL
    UNION ALL
    SELECT
        'untagged' AS scope_type,
        account_id AS scope_id,
        NULL AS ou_id,
        policy_id,
        status,
        verdicts
    FROM counts
    WHERE untagged
),

scopes AS (
    SELECT
        s.scope_type,
        s.scope_id,
        s.ou_id,
        coverage_percent(t.outcome) AS coverage_percent
    FROM staging.account_scopes AS s
    LEFT JOIN lake.scan_targets AS t USING (account_id)
    GROUP BY ALL
    UNION ALL
    SELECT
        'region' AS scope_type,
        coalesce(t.region, c.region) AS scope_id,
        NULL AS ou_id,
        coverage_percent(t.outcome) AS coverage_percent
    FROM lake.scan_targets AS t
    FULL JOIN (SELECT DISTINCT region FROM counts WHERE region IS NOT NULL) AS c USING (region)
    GROUP BY ALL
    UNION ALL
    SELECT DISTINCT
        'owner' AS scope_type,
        owner AS scope_id,
        NULL AS ou_id,
        NULL AS coverage_percent
    FROM counts
    WHERE owner IS NOT NULL
    UNION ALL
    SELECT DISTINCT
        'untagged' AS scope_type,
        account_id AS scope_id,
        NULL AS ou_id,
        NULL AS coverage_percent
    FROM counts
    WHERE untagged
    UNION ALL
    -- Without accounts the organization still has a row, without data.
    SELECT 'organization', 'organization', NULL, NULL
    WHERE NOT EXISTS (FROM staging.account_scopes)
),

summed AS (
    SELECT
        p.policy_id,
        s.scope_type,
        s.scope_id,
        s.ou_id,
        coalesce(sum(c.verdicts) FILTER (WHERE c.status = 'COMPLIANT'), 0)::BIGINT AS compliant,
        coalesce(sum(c.verdicts) FILTER (WHERE c.status = 'INCOMPLIANT'), 0)::BIGINT AS incompliant,
        coalesce(sum(c.verdicts) FILTER (WHERE c.status = 'UNDETERMINED'), 0)::BIGINT AS undetermined,
        coalesce(sum(c.verdicts) FILTER (WHERE c.status = 'INAPPLICABLE'), 0)::BIGINT AS inapplicable,
        coalesce(sum(c.verdicts) FILTER (WHERE c.status = 'DISAPPEARED'), 0)::BIGINT AS disappeared,
        coalesce(sum(c.verdicts) FILTER (WHERE c.status = 'WAIVED'), 0)::BIGINT AS waived,
        s.coverage_percent
    FROM scopes AS s
    CROSS JOIN catalog.policies AS p
    LEFT JOIN scoped_counts AS c
        ON c.policy_id = p.policy_id
        AND c.scope_type = s.scope_type
        AND c.scope_id = s.scope_id
        AND c.ou_id IS NOT DISTINCT FROM s.ou_id
    GROUP BY ALL
)

SELECT
    * EXCLUDE (coverage_percent),
    compliance_percent(compliant, incompliant) AS compliance_percent,
    compliance_percent(compliant, incompliant - waived) AS compliance_percent_with_waivers,
    coverage_percent
FROM summed
