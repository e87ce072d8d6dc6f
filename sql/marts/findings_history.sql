-- findings_history: one row per incompliant stretch of a policy and object, ended or still open.
-- key: policy_id, repository_arn, started.  from: lake.ended_findings_history, published.findings.
-- A stretch runs from the first snapshot that found the object INCOMPLIANT to the one that found it no longer is;
-- days of UNDETERMINED neither end nor restart it. A repository that was deleted and created again has two.
--   started_known  false when it began before the first scan: on that day or earlier, so that `days` is a
--                  minimum
--   ended_by  fixed, disappeared (deleted), account_closed (or left the organization); NULL while it is open
-- Account, unit and owner of an ended stretch are those of its last day; `days` of an open one run to today.
SELECT
    policy_id,
    object_id AS repository_arn,
    account_id,
    account_name,
    ou_id,
    ou_path,
    region,
    resource_name(object_id) AS repository_name,
    resource_type(object_id) AS object_type,
    owner,
    owner_source,
    incompliant_start_date AS started,
    coalesce(started_known, FALSE) AS started_known,
    snapshot_date AS ended,
    date_diff('day', started, ended) AS days,
    ended_by
FROM lake.ended_findings_history
UNION ALL
SELECT
    policy_id,
    repository_arn,
    account_id,
    account_name,
    ou_id,
    ou_path,
    region,
    repository_name,
    object_type,
    owner,
    owner_source,
    incompliant_start_date AS started,
    started_known,
    NULL AS ended,
    age_days AS days,
    NULL AS ended_by
FROM published.findings
