-- severity: fail
-- stage: image_tags
-- A repository has as many current tags as its last complete read found: intervals that were lost, or joined twice, would make
-- up moves in the next night.
WITH counted AS (
    SELECT
        repository_arn,
        count(*) AS current_tags
    FROM lake.image_tags
    WHERE is_current
    GROUP BY repository_arn
)

SELECT
    repository_arn,
    complete_tags,
    coalesce(current_tags, 0) AS current_tags
FROM lake.image_tag_reads
FULL JOIN counted USING (repository_arn)
WHERE coalesce(complete_tags, 0) <> coalesce(current_tags, 0)
