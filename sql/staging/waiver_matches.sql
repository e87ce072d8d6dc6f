-- waiver_matches: one row per waiver and finding in its scope, whether the waiver is still in force or has expired.
-- key: waiver_id, policy_id, object_id.  from: catalog.waivers, lake.policy_output, lake.accounts, lake.repositories.
-- Each part of a waiver's scope that is given has to fit. An OU means all below it, as in AWS; in a night that a version
-- before 5 scanned, an OU's id fits the accounts directly in it only, for no other ids were kept. `owner` and `untagged` are
-- as in verdict_counts.
SELECT
    w.waiver_id,
    w.expires,
    o.policy_id,
    o.object_id,
    o.account_id,
    o.region,
    CASE WHEN (o.owner_source IS DISTINCT FROM 'account') THEN o.owner END AS owner,
    (o.owner_source IS NOT DISTINCT FROM 'account') AS untagged,
    o.status
FROM catalog.waivers AS w
JOIN lake.policy_output AS o USING (policy_id)
LEFT JOIN lake.accounts AS a ON a.account_id = o.account_id
LEFT JOIN lake.repositories AS r ON r.repository_arn = o.object_id
WHERE is_finding(o.status, o.incompliant_start_date, o.incompliant_end_date)
    AND w.created <= $snapshot_date
    AND (w.repository IS NULL OR o.object_id GLOB w.repository)
    AND (w.account_id IS NULL OR o.account_id = w.account_id)
    -- The path of a unit named by its id is one that it had on some night.
    AND (w.ou_path IS NULL OR w.ou_id IS NOT NULL OR list_contains(units_of(a.ou_path), w.ou_path))
    AND (w.ou_id IS NULL OR list_contains(coalesce(a.unit_ids, [a.ou_id]), w.ou_id))
    AND (w.region IS NULL OR o.region = w.region)
    AND (w.tag_key IS NULL OR r.tags[w.tag_key] = w.tag_value)
