-- reads: one row per repository of the night's inventory: how its image tags were read, and what the last complete read
-- before this night found.
-- key: repository_arn.  from: staging.plan, lake.tag_reads, lake.previous_image_tag_reads.
-- parameter: snapshot_date.
-- A repository that was deleted and created again (another created_at) is another one: its read has nothing to compare
-- with. What a read that is not complete says of itself does not touch what is known of the last complete one.
SELECT
    p.* EXCLUDE (
        outcome, error_code, error_message, created_at, image_tag_mutability, exclusion_filters, last_read_at, calls
    ),
    CASE
        WHEN NOT p.is_wanted THEN NULL
        WHEN NOT p.is_read THEN p.outcome
        ELSE coalesce(t.outcome, 'FAILED')
    END AS outcome,
    CASE
        WHEN NOT p.is_wanted THEN NULL
        WHEN NOT p.is_read THEN p.error_code
        WHEN t.repository_arn IS NULL THEN 'BatchLost'
        ELSE t.error_code
    END AS error_code,
    CASE
        WHEN NOT p.is_wanted THEN NULL
        WHEN NOT p.is_read THEN p.error_message
        WHEN t.repository_arn IS NULL
            THEN 'Batch ' || p.batch || ' ended without writing its results; see the log of its read_tags task'
        ELSE t.error_message
    END AS error_message,
    t.tags,
    CASE WHEN p.is_read THEN t.calls ELSE 0 END AS calls,
    coalesce(t.complete, FALSE) AS complete,
    b.complete_at IS NOT NULL AND coalesce(b.created_at = p.created_at, TRUE) AS is_known,
    coalesce(t.complete, FALSE) AND is_known AS compared,
    coalesce(t.read_at, b.read_at) AS read_at,
    CASE WHEN t.complete THEN t.read_at ELSE b.complete_at END AS complete_at,
    CASE WHEN t.complete THEN t.tags ELSE b.complete_tags END AS complete_tags,
    CASE WHEN t.complete THEN p.created_at ELSE b.created_at END AS created_at,
    CASE WHEN t.complete THEN p.image_tag_mutability ELSE b.image_tag_mutability END AS image_tag_mutability,
    CASE WHEN t.complete THEN p.exclusion_filters ELSE b.exclusion_filters END AS exclusion_filters,
    -- The nights of a namesake go with the first complete read of the new repository.
    CASE WHEN is_known OR (t.complete IS DISTINCT FROM TRUE) THEN recent(b.read_nights, $snapshot_date) ELSE [] END
        || CASE WHEN t.complete THEN [$snapshot_date] ELSE [] END AS read_nights,
    CASE WHEN is_known OR (t.complete IS DISTINCT FROM TRUE) THEN recent(b.compared_nights, $snapshot_date) ELSE [] END
        || CASE WHEN t.complete AND is_known THEN [$snapshot_date] ELSE [] END AS compared_nights,
    b.complete_at AS complete_before,
    b.image_tag_mutability AS setting_before,
    b.exclusion_filters AS filters_before
FROM staging.plan AS p
LEFT JOIN lake.tag_reads AS t USING (repository_arn)
LEFT JOIN lake.previous_image_tag_reads AS b USING (repository_arn)
