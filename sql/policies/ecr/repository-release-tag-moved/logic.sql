-- Verdicts on repositories by whether a release tag was overwritten in the last 30 nights.
-- A row: the verdict on one repository.  key: object_id (its ARN).  from: staging.repositories,
-- staging.repository_image_tags.
-- The first condition that matches wins: 799 left out by the setting, 699 not known, 199 a release tag moved, 299 none did.
-- The macro is_release_tag decides which tags are releases. A tag that moved and moved back was overwritten twice.
WITH conditions AS (
    SELECT
        r.owner,
        r.overwritable_tags,
        t.*,
        CASE
            WHEN t.is_left_out AND t.moves_unknown IS NOT NULL THEN 799
            WHEN t.moves_unknown IS NOT NULL THEN 699
            WHEN t.release_tags_moved > 0 THEN 199
            ELSE 299
        END AS condition_index
    FROM staging.repositories AS r
    JOIN staging.repository_image_tags AS t USING (repository_arn)
)

SELECT
    repository_arn AS object_id,
    owner,
    condition_index,
    CASE condition_index
        WHEN 199 THEN 'INCOMPLIANT'
        WHEN 299 THEN 'COMPLIANT'
        WHEN 799 THEN 'INAPPLICABLE'
        ELSE 'UNDETERMINED'
    END AS status,
    CASE condition_index
        WHEN 799 THEN 'No tag can be overwritten, and ECR_AUDIT_IMAGE_TAGS (overwritable) leaves out such repositories.'
        WHEN 699 THEN 'Whether a release tag was overwritten is not known: ' || moves_unknown || '.'
        WHEN 199 THEN concat(
            CASE release_tags_moved
                WHEN 1 THEN '1 release tag was overwritten in 30 nights: '
                ELSE release_tags_moved || ' release tags were overwritten in 30 nights: '
            END,
            array_to_string(moved_release_tags, ', '),
            CASE
                WHEN release_tags_moved > len(moved_release_tags)
                    THEN ' and ' || (release_tags_moved - len(moved_release_tags)) || ' more'
            END,
            '. The last move of a tag was found on ', strftime(last_moved_at, '%Y-%m-%d'), '.'
        )
        ELSE concat(
            'No release tag was overwritten in the ', nights_compared,
            CASE nights_compared WHEN 1 THEN ' night' ELSE ' nights' END, ' of 30 that were compared',
            CASE tags_moved
                WHEN 0 THEN NULL
                WHEN 1 THEN '; 1 other tag was'
                ELSE '; ' || tags_moved || ' other tags were'
            END, '.'
        )
    END AS current_state_message,
    CASE condition_index
        WHEN 199 THEN 'Find out who pushed the tags, and what ran from them since: the page of the repository has the digests'
            || ' before and after. Push the release again under a new tag, then set image tag mutability to IMMUTABLE'
            || CASE WHEN tags_moved > release_tags_moved THEN '_WITH_EXCLUSION, with a filter for each tag that has to move.' ELSE '.' END
    END AS remediation_message,
    -- Only where nothing else moved: another push would fail.
    CASE WHEN condition_index = 199 AND tags_moved = release_tags_moved AND overwritable_tags <> 'none' THEN concat(
        'aws ecr put-image-tag-mutability --region ', region,
        ' --registry-id ', account_id,
        ' --repository-name ', shell_quoted(repository_name),
        ' --image-tag-mutability IMMUTABLE'
    ) END AS remediation_command
FROM conditions
