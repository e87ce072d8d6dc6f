-- Verdicts on registries by the tag mutability of repositories that ECR creates in them by itself.
-- A row: the verdict on one registry.  key: object_id (its ARN).  from: staging.registries.
-- The first condition that matches wins: 699 not read, 199 some would be mutable, 499 a value that is not known, 799 none
-- are created, 299 all would be immutable at least in part.
-- Without a template ECR creates a repository with MUTABLE, and a template that leaves the setting out does the same. A
-- template's prefix is a path: team is for team/app, not for teams/app. ROOT is for whatever no other template is for
-- (Amazon ECR User Guide, "Templates to control repositories created during a pull through cache, create on push, or
-- replication action").
WITH templates AS (
    SELECT
        registry_arn,
        unnest(creation_templates, max_depth := 2)
    FROM staging.registries
),

valued AS (
    SELECT
        * REPLACE (comparable(image_tag_mutability) AS image_tag_mutability),
        image_tag_mutability AS image_tag_mutability_raw
    FROM templates
),

rules AS (
    SELECT
        registry_arn,
        unnest(pull_through_rules, max_depth := 2)
    FROM staging.registries
),

covered_rules AS (
    SELECT r.*
    FROM rules AS r
    JOIN templates AS t USING (registry_arn)
    WHERE list_contains(t.applied_for, 'PULL_THROUGH_CACHE')
        AND (t.prefix IN ('ROOT', r.prefix) OR starts_with(r.prefix, rtrim(t.prefix, '/') || '/'))
),

-- Rules by which ECR creates repositories without any template.
bare_rules AS (
    FROM rules
    ANTI JOIN covered_rules USING (registry_arn, prefix)
),

faulty AS (
    SELECT
        registry_arn,
        array_agg(
            CASE image_tag_mutability
                WHEN '' THEN 'the creation template ' || prefix || ' leaves out image tag mutability, which makes MUTABLE'
                ELSE 'the creation template ' || prefix || ' sets MUTABLE'
            END
            ORDER BY prefix
        ) AS faults,
        array_agg(prefix ORDER BY prefix) AS prefixes,
        bool_or(list_contains(applied_for, 'PULL_THROUGH_CACHE')) AS caches
    FROM valued
    WHERE image_tag_mutability IN ('', 'MUTABLE')
    GROUP BY registry_arn
),

uncovered AS (
    SELECT
        registry_arn,
        array_agg(
            'no creation template applies to the pull-through cache rule ' || prefix
                || coalesce(' (' || upstream_registry_url || ')', '')
            ORDER BY prefix
        ) AS faults,
        array_agg(prefix ORDER BY prefix) AS prefixes
    FROM bare_rules
    GROUP BY registry_arn
),

unknown AS (
    SELECT
        registry_arn,
        array_agg('the creation template ' || prefix || ' sets ''' || image_tag_mutability_raw || '''' ORDER BY prefix)
            AS faults
    FROM valued
    WHERE image_tag_mutability NOT IN ('', 'MUTABLE', 'IMMUTABLE', 'IMMUTABLE_WITH_EXCLUSION', 'MUTABLE_WITH_EXCLUSION')
    GROUP BY registry_arn
),

found AS (
    SELECT
        r.*,
        coalesce(f.faults, []) || coalesce(u.faults, []) AS faults,
        coalesce(f.prefixes, []) AS faulty_templates,
        coalesce(u.prefixes, []) AS bare_prefixes,
        coalesce(f.caches, FALSE) OR u.registry_arn IS NOT NULL AS caches,
        coalesce(k.faults, []) AS unknown
    FROM staging.registries AS r
    LEFT JOIN faulty AS f USING (registry_arn)
    LEFT JOIN uncovered AS u USING (registry_arn)
    LEFT JOIN unknown AS k USING (registry_arn)
),

conditions AS (
    SELECT
        *,
        CASE
            WHEN registries_unread IS NOT NULL THEN 699
            WHEN len(faults) > 0 THEN 199
            WHEN len(unknown) > 0 THEN 499
            WHEN coalesce(len(creation_templates), 0) = 0 THEN 799
            ELSE 299
        END AS condition_index
    FROM found
)

SELECT
    registry_arn AS object_id,
    owner,
    condition_index,
    CASE condition_index
        WHEN 199 THEN 'INCOMPLIANT'
        WHEN 299 THEN 'COMPLIANT'
        WHEN 799 THEN 'INAPPLICABLE'
        ELSE 'UNDETERMINED'
    END AS status,
    CASE condition_index
        WHEN 699 THEN 'How ECR creates repositories by itself is not known: ' || registries_unread || '.'
        WHEN 199 THEN concat(
            'ECR creates repositories with mutable tags: ', array_to_string(faults, '; '), '.',
            CASE
                WHEN caches THEN ' ECR refreshes a cached image by moving its tag, such as latest: an exclusion filter for'
                    || ' such tags passes.'
            END
        )
        WHEN 499 THEN concat(
            'Image tag mutability of new repositories is not known: ', array_to_string(unknown, '; '), ', which is not a',
            ' value that this policy knows: MUTABLE, IMMUTABLE, IMMUTABLE_WITH_EXCLUSION, MUTABLE_WITH_EXCLUSION.'
        )
        WHEN 799 THEN 'There are neither creation templates nor pull-through cache rules.'
        ELSE 'All creation templates (' || len(creation_templates) || ') make tags immutable, at least those that no'
            || ' exclusion filter names.'
    END AS current_state_message,
    CASE
        WHEN condition_index = 199 AND len(bare_prefixes) = 0
            THEN 'Set image tag mutability to IMMUTABLE in the template; if some tags have to move, set'
                || ' IMMUTABLE_WITH_EXCLUSION with a filter for each of them. Repositories that exist are not changed by it.'
        WHEN condition_index = 199
            THEN 'Create a template for the prefix of the rule, applied for PULL_THROUGH_CACHE, with IMMUTABLE_WITH_EXCLUSION'
                || ' and a filter for each tag that has to move. Repositories that exist are not changed by it.'
        WHEN condition_index = 499
            THEN 'Look at the creation template in ECR. If AWS has introduced a new value, decide in logic.sql whether it'
                || ' passes.'
    END AS remediation_message,
    CASE
        -- Neither operation takes the registry's id: the command acts on that of the credentials.
        WHEN condition_index = 199 AND len(faulty_templates) = 1 AND len(bare_prefixes) = 0 THEN concat(
            'aws ecr update-repository-creation-template --region ', region,
            ' --prefix ', shell_quoted(faulty_templates[1]),
            ' --image-tag-mutability IMMUTABLE'
        )
        WHEN condition_index = 199 AND len(faulty_templates) = 0 AND len(bare_prefixes) = 1 THEN concat(
            'aws ecr create-repository-creation-template --region ', region,
            ' --prefix ', shell_quoted(bare_prefixes[1]),
            ' --applied-for PULL_THROUGH_CACHE --image-tag-mutability IMMUTABLE_WITH_EXCLUSION',
            ' --image-tag-mutability-exclusion-filters ''filterType=WILDCARD,filter=latest'''
        )
    END AS remediation_command
FROM conditions
