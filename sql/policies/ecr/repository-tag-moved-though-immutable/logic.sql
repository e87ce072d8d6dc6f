-- Verdicts on repositories by whether a tag was overwritten in the last 30 nights though the setting forbade it.
-- A row: the verdict on one repository.  key: object_id (its ARN).  from: staging.repositories,
-- staging.repository_image_tags.
-- The first condition that matches wins: 799 nothing is forbidden, or left out by the setting of the audit, 699 not known,
-- 199 a tag moved all the same, 299 none did.
-- The setting at both reads counts: a tag that moved while it was open for a time, and seen so, moved as it allowed.
WITH conditions AS (
    SELECT
        r.owner,
        r.overwritable_tags,
        t.*,
        CASE
            WHEN t.is_left_out AND t.moves_unknown IS NOT NULL THEN 799
            WHEN r.overwritable_tags = 'all' AND t.tags_moved_though_immutable = 0 THEN 799
            WHEN t.moves_unknown IS NOT NULL THEN 699
            WHEN t.tags_moved_though_immutable > 0 THEN 199
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
    CASE
        WHEN condition_index = 799 AND is_left_out
            THEN 'No tag can be overwritten, and ECR_AUDIT_IMAGE_TAGS (overwritable) leaves out such repositories.'
        WHEN condition_index = 799 THEN 'Every tag can be overwritten: the setting forbids nothing.'
        WHEN condition_index = 699 THEN 'Whether a tag was overwritten against the setting is not known: ' || moves_unknown || '.'
        WHEN condition_index = 199 THEN concat(
            CASE tags_moved_though_immutable
                WHEN 1 THEN '1 tag was overwritten in 30 nights though the setting forbade it: '
                ELSE tags_moved_though_immutable || ' tags were overwritten in 30 nights though the setting forbade it: '
            END,
            array_to_string(moved_immutable_tags, ', '),
            CASE
                WHEN tags_moved_though_immutable > len(moved_immutable_tags)
                    THEN ' and ' || (tags_moved_though_immutable - len(moved_immutable_tags)) || ' more'
            END,
            '.'
        )
        ELSE concat(
            'No tag was overwritten against the setting in the ', nights_compared,
            CASE nights_compared WHEN 1 THEN ' night' ELSE ' nights' END, ' of 30 that were compared.'
        )
    END AS current_state_message,
    CASE condition_index
        WHEN 199 THEN 'Find out who did it: such a tag was deleted and pushed again, or the setting was changed and changed'
            || ' back. Then take ecr:BatchDeleteImage and ecr:PutImageTagMutability away from the roles of pipelines.'
    END AS remediation_message,
    -- None: who may do that is decided in IAM.
    NULL::VARCHAR AS remediation_command
FROM conditions
