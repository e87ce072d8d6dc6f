-- Verdicts on repositories whose image tags can all be overwritten: only MUTABLE fails.
-- A row: the verdict on one repository.  key: object_id (its ARN).  from: staging.repositories.
-- The first condition that matches wins: 199 mutable, 299 at least partly immutable, 499 no value that is known.
-- A COMPLIANT row also carries a remediation where the setting says immutable but the filter '*' lets every tag move.
WITH conditions AS (
    SELECT
        *,
        CASE
            WHEN image_tag_mutability = 'MUTABLE' THEN 199
            WHEN image_tag_mutability IN ('IMMUTABLE', 'IMMUTABLE_WITH_EXCLUSION', 'MUTABLE_WITH_EXCLUSION') THEN 299
            ELSE 499
        END AS condition_index,
        image_tag_mutability = 'IMMUTABLE_WITH_EXCLUSION' AND overwritable_tags = 'all' AS immutable_in_name_only
    FROM staging.repositories
),

-- Texts that several messages share.
phrases AS (
    SELECT
        *,
        CASE len(exclusion_filters)
            WHEN 0 THEN 'an exclusion filter that AWS did not return'
            WHEN 1 THEN 'the exclusion filter ''' || exclusion_filters[1] || ''''
            ELSE 'one of the exclusion filters ''' || array_to_string(exclusion_filters, ''', ''') || ''''
        END AS filters_in_words,
        CASE
            WHEN immutable_in_name_only THEN list_transform(
                list_filter(exclusion_filters, lambda filter: NOT regexp_full_match(filter, '\*+')),
                lambda filter: ' ' || shell_quoted('filterType=WILDCARD,filter=' || filter)
            )
        END AS narrow_filter_options
    FROM conditions
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
        WHEN condition_index = 199
            THEN 'Image tag mutability is MUTABLE: a push can overwrite any tag.'
        WHEN image_tag_mutability = 'IMMUTABLE'
            THEN 'Image tag mutability is IMMUTABLE: no tag can be overwritten.'
        WHEN immutable_in_name_only
            THEN 'Image tag mutability is IMMUTABLE_WITH_EXCLUSION, but ' || filters_in_words
                || ' matches every tag: every tag can be overwritten though the setting says immutable.'
        WHEN image_tag_mutability = 'IMMUTABLE_WITH_EXCLUSION'
            THEN 'Image tag mutability is IMMUTABLE_WITH_EXCLUSION: only tags that match ' || filters_in_words
                || ' can be overwritten.'
        WHEN image_tag_mutability = 'MUTABLE_WITH_EXCLUSION'
            THEN 'Image tag mutability is MUTABLE_WITH_EXCLUSION: all tags can be overwritten but those that match '
                || filters_in_words || '.'
        WHEN image_tag_mutability = ''
            THEN 'Image tag mutability is empty: ECR returned no value.'
        ELSE 'Image tag mutability is ''' || image_tag_mutability_raw || ''', which is not a value that this policy'
            || ' knows: MUTABLE, IMMUTABLE, IMMUTABLE_WITH_EXCLUSION, MUTABLE_WITH_EXCLUSION.'
    END AS current_state_message,
    CASE
        WHEN condition_index = 199
            THEN 'Set image tag mutability to IMMUTABLE. If some tags have to move, such as latest, set'
                || ' IMMUTABLE_WITH_EXCLUSION with a filter for each of them instead.'
        WHEN immutable_in_name_only AND len(narrow_filter_options) > 0
            THEN 'Remove the filter ''*''; the other filters stay.'
        WHEN immutable_in_name_only
            THEN 'Set image tag mutability to IMMUTABLE, or replace the filter ''*'' by filters for the tags that have'
                || ' to move.'
        WHEN condition_index = 499
            THEN 'Look at the repository''s image tag mutability in ECR. If AWS has introduced a new value, decide in'
                || ' logic.sql whether it passes.'
    END AS remediation_message,
    CASE
        -- With the registry's id the command fails, rather than change a namesake, under another account's credentials.
        WHEN condition_index = 199 OR immutable_in_name_only THEN concat(
            'aws ecr put-image-tag-mutability --region ', region,
            ' --registry-id ', account_id,
            ' --repository-name ', shell_quoted(repository_name),
            ' --image-tag-mutability ',
            CASE
                WHEN len(narrow_filter_options) > 0
                    THEN 'IMMUTABLE_WITH_EXCLUSION --image-tag-mutability-exclusion-filters'
                        || array_to_string(narrow_filter_options, '')
                ELSE 'IMMUTABLE'
            END
        )
    END AS remediation_command
FROM phrases
