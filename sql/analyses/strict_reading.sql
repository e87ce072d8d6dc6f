-- How does the strict reading of ECR.2 differ: what passes although some tags can be overwritten?
SELECT
    image_tag_mutability,
    overwritable_tags,
    count(*) AS repositories,
    count(DISTINCT account_id) AS accounts,
    min(exclusion_filters) AS example_of_filters
FROM policy_disagreements
GROUP BY image_tag_mutability, overwritable_tags
ORDER BY repositories DESC, image_tag_mutability, overwritable_tags;
