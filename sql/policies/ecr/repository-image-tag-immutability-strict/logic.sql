-- Verdicts on repositories where at least one image tag could be overwritten: only IMMUTABLE passes.
-- A row: the verdict on one repository.  key: object_id (its ARN).  from: staging.repositories.
-- The first condition that matches wins: 199 mutable in part or whole, 299 immutable, 499 no value that is known.
-- Filters are evaluated by the setting, not by what they match: that is how Security Hub's ECR.2 page and Control
-- Tower's CT.ECR.PR.3 read.
WITH conditions AS (
    SELECT
        *,
        CASE
            WHEN image_tag_mutability IN ('MUTABLE', 'IMMUTABLE_WITH_EXCLUSION', 'MUTABLE_WITH_EXCLUSION') THEN 199
            WHEN image_tag_mutability = 'IMMUTABLE' THEN 299
            ELSE 499
        END AS condition_index
    FROM staging.repositories
)

SELECT
    repository_arn AS object_id,
    owner,
    condition_index,
    CASE condition_index
        WHEN 199 THEN 'INCOMPLIANT'
        WHEN 299 THEN 'COMPLIANT'
        ELSE 'UNDETERMINED'
    END AS status,
    CASE
        WHEN len(exclusion_filters) > 0 AND condition_index = 199
            THEN 'Image tag mutability is ' || image_tag_mutability || ' (exclusion filters: '''
                || array_to_string(exclusion_filters, ''', ''') || '''): only IMMUTABLE passes.'
        WHEN condition_index = 199
            THEN 'Image tag mutability is ' || image_tag_mutability || ': only IMMUTABLE passes.'
        WHEN condition_index = 299
            THEN 'Image tag mutability is IMMUTABLE: no tag can be overwritten.'
        WHEN image_tag_mutability = ''
            THEN 'Image tag mutability is empty: ECR returned no value.'
        ELSE 'Image tag mutability is ''' || image_tag_mutability_raw || ''', which is not a value that this policy'
            || ' knows: MUTABLE, IMMUTABLE, IMMUTABLE_WITH_EXCLUSION, MUTABLE_WITH_EXCLUSION.'
    END AS current_state_message,
    CASE condition_index
        WHEN 199 THEN 'Set image tag mutability to IMMUTABLE. Exclusion filters, if there are any, are thereby dropped.'
        WHEN 499 THEN 'Look at the repository''s image tag mutability in ECR. If AWS has introduced a new value, decide'
            || ' in logic.sql whether it passes.'
    END AS remediation_message,
    CASE condition_index
        -- With the registry's id the command fails, rather than change a namesake, under another account's credentials.
        WHEN 199 THEN concat(
            'aws ecr put-image-tag-mutability --region ', region,
            ' --registry-id ', account_id,
            ' --repository-name ', shell_quoted(repository_name),
            ' --image-tag-mutability IMMUTABLE'
        )
    END AS remediation_command
FROM conditions
