-- How many findings came and went each week, and what remains of it?
WITH weeks AS (
    SELECT
        date_trunc('week', snapshot_date)::DATE AS week,
        count(*) FILTER (WHERE change IN ('new', 'reopened')) AS came,
        count(*) FILTER (WHERE change = 'fixed') AS fixed,
        count(*) FILTER (WHERE change = 'disappeared' AND previous_status = 'INCOMPLIANT') AS deleted
    FROM changes
    WHERE policy_id = '/ce/ca/aws/ecr/repository-image-tag-mutability'
    GROUP BY 1
)

SELECT
    week,
    came,
    fixed,
    deleted,
    came - fixed - deleted AS net
FROM weeks
ORDER BY week;
