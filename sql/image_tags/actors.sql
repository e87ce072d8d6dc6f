-- tag_actors: one row per tag that was overwritten in the night: who moved it, by the organization's trail.
-- key: repository_arn, tag.  from: staging.overwrites, staging.trail_events, staging.trail_registries: what was read of the
-- trail; lake.tag_moves, lake.previous_tag_actors.
-- parameters: read_at, when the trail was read; delay, the time (INTERVAL) in which events are delivered.
-- trail_outcome:
--   FOUND      the last push of new_digest between the two reads
--   NOT_FOUND  all log files were read, and none has such a push
--   PENDING    not found, and what happened before seen_after may be delivered later: read again in the next night
--   NOT_READ   log files could not be read, and none that was has such a push: read again in the next night
--   LEFT_OUT   the same, for a limit of the night
WITH between_reads AS (
    SELECT
        m.*,
        e.* EXCLUDE (account_id, region, repository_name, tag)
    FROM staging.overwrites AS m
    JOIN staging.trail_events AS e
        ON e.account_id = m.account_id
        AND e.region = m.region
        AND e.repository_name = m.repository_name
        AND coalesce(e.tag = m.tag, TRUE)
        -- Times of events have whole seconds.
        AND e.event_time BETWEEN date_trunc('second', m.seen_before) AND m.seen_after
),

pushes AS (
    SELECT
        repository_arn,
        tag,
        max_by(
            {
                event_time: event_time, event_id: event_id, actor: actor, source_address: source_address,
                user_agent: user_agent
            },
            (event_time, event_id)
        ) AS push
    FROM between_reads
    WHERE event_name = 'PutImage' AND digest = new_digest
    GROUP BY repository_arn, tag
),

around AS (
    -- What made an overwrite possible that the setting forbade, before the push; and what forbids it again, after it.
    SELECT
        b.*,
        coalesce(p.push.event_time, b.seen_after) AS pushed_at,
        forbids_overwriting(comparable(b.setting), b.exclusion_filters, b.tag) AS is_forbidden
    FROM between_reads AS b
    LEFT JOIN pushes AS p USING (repository_arn, tag)
    WHERE b.kind = 'moved_though_immutable'
),

forbidden AS (
    SELECT
        repository_arn,
        tag,
        max_by(actor, event_time)
            FILTER (WHERE event_name = 'BatchDeleteImage' AND event_time <= pushed_at) AS deleted_by,
        max(event_time) FILTER (WHERE event_name = 'BatchDeleteImage' AND event_time <= pushed_at) AS deleted_at,
        max_by(actor, event_time)
            FILTER (WHERE event_name = 'PutImageTagMutability' AND NOT is_forbidden AND event_time <= pushed_at)
            AS opened_by,
        max(event_time)
            FILTER (WHERE event_name = 'PutImageTagMutability' AND NOT is_forbidden AND event_time <= pushed_at)
            AS opened_at,
        min_by(actor, event_time)
            FILTER (WHERE event_name = 'PutImageTagMutability' AND is_forbidden AND event_time >= pushed_at)
            AS closed_by,
        min(event_time)
            FILTER (WHERE event_name = 'PutImageTagMutability' AND is_forbidden AND event_time >= pushed_at)
            AS closed_at
    FROM around
    GROUP BY repository_arn, tag
)

SELECT
    m.account_id,
    m.repository_arn,
    m.tag,
    m.new_digest,
    m.seen_after,
    p.push.actor AS actor,
    p.push.event_time AS moved_at,
    p.push.source_address AS source_address,
    p.push.user_agent AS user_agent,
    p.push.event_id AS event_id,
    f.deleted_by,
    f.deleted_at,
    f.opened_by,
    f.opened_at,
    f.closed_by,
    f.closed_at,
    CASE
        WHEN p.push IS NOT NULL THEN 'FOUND'
        WHEN r.failed > 0 THEN 'NOT_READ'
        WHEN r.left_out > 0 THEN 'LEFT_OUT'
        WHEN $read_at < m.seen_after + $delay THEN 'PENDING'
        ELSE 'NOT_FOUND'
    END AS trail_outcome,
    r.message AS trail_message
FROM staging.overwrites AS m
LEFT JOIN pushes AS p USING (repository_arn, tag)
LEFT JOIN forbidden AS f USING (repository_arn, tag)
LEFT JOIN staging.trail_registries AS r USING (account_id, region)
UNION ALL
SELECT
    a.account_id,
    a.repository_arn,
    a.tag,
    a.new_digest,
    a.seen_after,
    a.actor,
    a.moved_at,
    a.source_address,
    a.user_agent,
    a.event_id,
    a.deleted_by,
    a.deleted_at,
    a.opened_by,
    a.opened_at,
    a.closed_by,
    a.closed_at,
    a.trail_outcome,
    a.trail_message
FROM lake.previous_tag_actors AS a
JOIN lake.tag_moves AS m USING (repository_arn, tag, new_digest, seen_after)
WHERE a.trail_outcome IN ('FOUND', 'NOT_FOUND')
