-- severity: fail
-- stage: image_tags
-- A repository has as many current tags as its last complete read found, each once: intervals that were lost, or joined
-- twice, would make up moves in the next night.
WITH counted AS (
    SELECT
        repository_arn,
        count(*) AS current_tags,
        -- Hashes, which are much cheaper than the tags; a collision of two in one repository is not to be expected.
        count(DISTINCT hash(tag)) AS different_tags
    FROM lake.image_tags
    WHERE is_current
    GROUP BY repository_arn
)

SELECT
    repository_arn,
    complete_tags,
    coalesce(current_tags, 0) AS current_tags,
    coalesce(different_tags, 0) AS different_tags
FROM lake.image_tag_reads AS r
FULL JOIN counted AS c USING (repository_arn)
WHERE coalesce(complete_tags, 0) <> coalesce(current_tags, 0)
    OR current_tags <> different_tags
