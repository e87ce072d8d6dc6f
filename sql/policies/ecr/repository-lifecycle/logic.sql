-- Verdicts on repositories by their lifecycle policy: one with a rule passes, whatever the rule.
-- A row: the verdict on one repository.  key: object_id (its ARN).  from: staging.repositories.
-- The first condition that matches wins: 699 not read, 199 no policy or no rule, 299 at least one rule, 499 not JSON with
-- a list of rules.
-- No command: a lifecycle policy deletes images, and which ones may go, somebody has to decide.
WITH documents AS (
    SELECT
        *,
        TRY_CAST(lifecycle_policy AS JSON) AS document
    FROM staging.repositories
),

counted AS (
    SELECT
        *,
        CASE json_type(document, '$.rules') WHEN 'ARRAY' THEN json_array_length(document, '$.rules') END AS rules
    FROM documents
),

conditions AS (
    SELECT
        *,
        CASE
            WHEN lifecycle_unread IS NOT NULL THEN 699
            WHEN lifecycle_policy IS NULL OR rules = 0 THEN 199
            WHEN rules > 0 THEN 299
            ELSE 499
        END AS condition_index
    FROM counted
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
        WHEN condition_index = 699
            THEN 'Whether there is a lifecycle policy is not known: ' || lifecycle_unread || '.'
        WHEN condition_index = 199 AND lifecycle_policy IS NULL
            THEN 'There is no lifecycle policy: images stay until somebody deletes them.'
        WHEN condition_index = 199
            THEN 'The lifecycle policy has no rule: images stay until somebody deletes them.'
        WHEN condition_index = 299
            THEN 'The lifecycle policy has ' || rules || CASE rules WHEN 1 THEN ' rule.' ELSE ' rules.' END
        ELSE 'The lifecycle policy cannot be read: it is not JSON with a list of rules.'
    END AS current_state_message,
    CASE condition_index
        WHEN 199
            THEN 'Decide which images may go, such as untagged ones after 14 days; see by a preview which ones that would'
                || ' be; then put a lifecycle policy.'
        WHEN 499 THEN 'Look at the repository''s lifecycle policy in ECR.'
    END AS remediation_message,
    NULL::VARCHAR AS remediation_command
FROM conditions
