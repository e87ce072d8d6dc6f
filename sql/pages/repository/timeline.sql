-- timeline: one row per night with a change, by policy, the newest first.
-- key: policy_id, snapshot_date, change.  from: changes, findings_history.
-- On the first night there is nothing to compare with, so it has no changes: `found` says what was incompliant then.
-- A stretch ended by closing its account has no published change: `ended`. If a night has several, the last is
-- first: a repository that was moved was so before it changed, and one that was deleted before it was created again.
WITH changed AS (
    SELECT
        policy_id,
        snapshot_date,
        change,
        previous_status,
        status,
        current_state_message
    FROM changes
    WHERE account_id = split_part($arn, ':', 5)
        AND repository_arn = $arn
),

stretches AS (
    SELECT
        policy_id,
        started,
        ended,
        ended_by
    FROM findings_history
    WHERE account_id = split_part($arn, ':', 5)
        AND repository_arn = $arn
),

events AS (
    FROM changed
    UNION ALL
    SELECT
        policy_id,
        started AS snapshot_date,
        'found' AS change,
        NULL AS previous_status,
        'INCOMPLIANT' AS status,
        NULL AS current_state_message
    FROM stretches
    ANTI JOIN changed
        ON changed.policy_id = stretches.policy_id AND changed.snapshot_date = started AND changed.change <> 'moved'
    UNION ALL
    SELECT
        policy_id,
        ended AS snapshot_date,
        'ended' AS change,
        'INCOMPLIANT' AS previous_status,
        ended_by AS status,
        NULL AS current_state_message
    FROM stretches
    ANTI JOIN changed
        ON changed.policy_id = stretches.policy_id AND changed.snapshot_date = ended AND changed.change <> 'moved'
    WHERE ended IS NOT NULL
)

SELECT *
FROM events
ORDER BY policy_id, snapshot_date DESC, change = 'moved', change = 'disappeared', change
