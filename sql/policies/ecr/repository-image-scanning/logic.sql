-- Verdicts on repositories by when their images are scanned: only MANUAL fails.
-- A row: the verdict on one repository.  key: object_id (its ARN).  from: staging.repositories.
-- The first condition that matches wins: 699 not read, 199 manual, 299 on push or continuous, 499 no value that is known.
-- The frequency is the effective one: the filters of the registry's scanning rules apply in place of the repository's own
-- scanOnPush, which alone would be wrong in both directions (Amazon ECR API Reference, RepositoryScanningConfiguration).
WITH conditions AS (
    SELECT
        *,
        CASE
            WHEN scanning_unread IS NOT NULL THEN 699
            WHEN scan_frequency = 'MANUAL' THEN 199
            WHEN scan_frequency IN ('SCAN_ON_PUSH', 'CONTINUOUS_SCAN') THEN 299
            ELSE 499
        END AS condition_index,
        CASE len(scan_filters)
            WHEN 0 THEN ''
            WHEN 1 THEN ', by the registry''s filter ''' || scan_filters[1] || ''''
            ELSE ', by the registry''s filters ''' || array_to_string(scan_filters, ''', ''') || ''''
        END AS decided_by
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
        WHEN condition_index = 699
            THEN 'When images are scanned is not known: ' || scanning_unread || '.'
        WHEN condition_index = 199 AND scan_on_push
            THEN 'The scan frequency is MANUAL: images are scanned only when somebody starts a scan. The repository''s own'
                || ' setting scanOnPush is on, but does not count: the registry''s scanning rules decide.'
        WHEN condition_index = 199
            THEN 'The scan frequency is MANUAL: images are scanned only when somebody starts a scan.'
        WHEN scan_frequency = 'SCAN_ON_PUSH'
            THEN 'The scan frequency is SCAN_ON_PUSH: images are scanned when they are pushed' || coalesce(decided_by, '')
                || '.'
        WHEN scan_frequency = 'CONTINUOUS_SCAN'
            THEN 'The scan frequency is CONTINUOUS_SCAN: images are scanned when they are pushed, and again when new'
                || ' vulnerabilities become known' || coalesce(decided_by, '') || '.'
        WHEN scan_frequency = ''
            THEN 'The scan frequency is empty: ECR returned no value.'
        ELSE 'The scan frequency is ''' || scan_frequency || ''', which is not a value that this policy knows: MANUAL,'
            || ' SCAN_ON_PUSH, CONTINUOUS_SCAN.'
    END AS current_state_message,
    CASE
        WHEN condition_index = 199 AND scan_on_push
            THEN 'Add a rule to the scanning configuration of the registry, with a filter that matches the repository.'
        WHEN condition_index = 199
            THEN 'Add a rule to the scanning configuration of the registry, with a filter that matches the repository. Where'
                || ' the registry has basic scanning and no rules, turn on the repository''s own scanOnPush instead.'
        WHEN condition_index = 499
            THEN 'Look at the repository''s scanning configuration in ECR. If AWS has introduced a new value, decide in'
                || ' logic.sql whether it passes.'
    END AS remediation_message,
    CASE
        -- With the registry's id the command fails, rather than change a namesake, under another account's credentials.
        -- None for the registry's rules: it would replace those that are there.
        WHEN condition_index = 199 AND NOT coalesce(scan_on_push, FALSE) THEN concat(
            'aws ecr put-image-scanning-configuration --region ', region,
            ' --registry-id ', account_id,
            ' --repository-name ', shell_quoted(repository_name),
            ' --image-scanning-configuration scanOnPush=true'
        )
    END AS remediation_command
FROM conditions
