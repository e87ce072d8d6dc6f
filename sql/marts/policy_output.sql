-- policy_output: one row per policy and object: today's verdict, and since when it holds.
-- key: policy_id, object_id.  from: staging.verdicts ($policy_id's logic.sql), staging.objects, staging.recreated,
-- staging.young, lake.accounts, lake.scan_targets, lake.previous_policy_output.
-- Conditions of every policy are decided here, in this order:
--   399 INAPPLICABLE  the object's account is not active, or no longer in the organization;
--   599 UNDETERMINED  its account x region could not be read: the last known message, but no verdict;
--    99 DISAPPEARED   evaluated in the previous snapshot, its account x region was read today, and it no longer exists.
-- Otherwise the policy's own verdict stands. DISAPPEARED is reported once, on that day.
-- An UNDETERMINED day neither ends nor restarts an incompliant stretch: not evaluated is not fixed.
-- started_known: whether the stretch began between the previous evaluated snapshot and its incompliant_start_date,
-- because the object was read and did not fail then, or was created since. Otherwise it may be much older than the
-- audit knows.
-- Words of which there are few are ENUMs of the session: DuckDB writes those to Parquet several times as fast as text,
-- and compares them faster. In the file they are text.
WITH previous AS (
    SELECT
        object_id,
        account_id,
        region,
        owner,
        owner_source,
        status::verdict_status AS status,
        status_date,
        incompliant_start_date,
        incompliant_end_date,
        started_known,
        observed
    FROM lake.previous_policy_output
    ANTI JOIN staging.recreated USING (object_id)
    WHERE policy_id = $policy_id
        AND status <> 'DISAPPEARED'
),

unseen AS (
    SELECT
        object_id,
        strftime(collected_at, '%Y-%m-%d') AS last_seen
    FROM staging.objects
    WHERE NOT observed
),

objects AS (
    SELECT
        coalesce(v.object_id, p.object_id) AS object_id,
        -- An object's id is an ARN, which names both; a check compares it with the columns of the input.
        coalesce(p.account_id, split_part(v.object_id, ':', 5)) AS account_id,
        coalesce(p.region, split_part(v.object_id, ':', 4)) AS region,
        CASE WHEN v.object_id IS NULL THEN p.owner ELSE v.owner END AS known_owner,
        CASE
            WHEN v.object_id IS NULL THEN p.owner_source::owner_source
            WHEN v.owner IS NULL THEN 'account'::owner_source
            ELSE 'tag'::owner_source
        END AS owner_source,
        v.condition_index,
        v.status,
        v.current_state_message,
        v.remediation_message,
        v.remediation_command,
        v.object_id IS NULL AS is_gone,
        p.status AS previous_status,
        p.status_date AS previous_status_date,
        p.incompliant_start_date AS previous_start,
        p.incompliant_end_date AS previous_end,
        p.started_known AS previous_started_known,
        coalesce(p.observed AND p.status IN ('COMPLIANT', 'INAPPLICABLE'), FALSE) AS passed_before
    FROM staging.verdicts AS v
    FULL JOIN previous AS p USING (object_id)
),

evaluated AS (
    SELECT
        o.*,
        coalesce(o.known_owner, nullif(a.account_name, ''), o.account_id) AS owner,
        u.last_seen,
        t.error_code,
        coalesce(t.outcome, 'not scanned') AS outcome,
        coalesce(is_collected(t.outcome), FALSE) AS observed,
        coalesce(a.state, 'no longer in the organization') AS account_state,
        y.object_id IS NOT NULL AS is_young,
        CASE
            WHEN (a.state IS DISTINCT FROM 'ACTIVE') THEN condition_account_inactive()
            WHEN (is_collected(t.outcome) IS DISTINCT FROM TRUE) THEN condition_not_seen()
            WHEN o.is_gone THEN condition_gone()
        END AS engine_condition
    FROM objects AS o
    LEFT JOIN lake.accounts AS a USING (account_id)
    LEFT JOIN lake.scan_targets AS t USING (account_id, region)
    LEFT JOIN unseen AS u USING (object_id)
    LEFT JOIN staging.young AS y USING (object_id)
),

stated AS (
    SELECT
        * REPLACE (
            coalesce(status_of_engine(engine_condition)::verdict_status, status) AS status,
            CASE engine_condition
                WHEN condition_gone() THEN concat(
                    'The ', resource_type(object_id), ' is gone: its account and region were read, and it is not there.'
                )
                WHEN condition_account_inactive() THEN 'The account is ' || account_state || '.'
                WHEN condition_not_seen() THEN concat(
                    'Not seen: ', outcome, ' (' || error_code || ')', '.',
                    ' Last known, of ' || last_seen || ': ' || current_state_message
                )
                ELSE current_state_message
            END AS current_state_message
        )
    FROM evaluated
)

SELECT
    $policy_id::policy_id AS policy_id,
    object_id,
    account_id,
    region,
    owner,
    owner_source,
    status,
    CASE WHEN status = previous_status THEN previous_status_date ELSE $snapshot_date END AS status_date,
    CASE
        WHEN status = 'INCOMPLIANT' AND (previous_start IS NULL OR previous_end IS NOT NULL) THEN $snapshot_date
        ELSE previous_start
    END AS incompliant_start_date,
    CASE
        WHEN status = 'INCOMPLIANT' THEN NULL
        WHEN status <> 'UNDETERMINED' AND previous_start IS NOT NULL AND previous_end IS NULL THEN $snapshot_date
        ELSE previous_end
    END AS incompliant_end_date,
    CASE
        WHEN status = 'INCOMPLIANT' AND (previous_start IS NULL OR previous_end IS NOT NULL)
            THEN passed_before OR is_young
        ELSE previous_started_known
    END AS started_known,
    coalesce(engine_condition, condition_index)::INTEGER AS condition_index,
    current_state_message,
    CASE WHEN engine_condition IS NULL THEN remediation_message END AS remediation_message,
    CASE WHEN engine_condition IS NULL THEN remediation_command END AS remediation_command,
    observed,
    $run_time AS run_time
FROM stated
