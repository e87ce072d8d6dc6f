-- ou_ancestors: one row per organizational unit, by each path that it ever had, and unit that it lies in at any depth, itself
-- among them.
-- key: ou_path, ou_id, ancestor.  from: lake.scope_compliance_history, lake.accounts.
-- Joined by ou_path and ou_id as the other tables have them for a night, it gives the one name of a unit for all nights: its
-- newest path, with its id behind it when a younger unit has that path now. Units do not move: those above one are those that
-- it lay in when it was last there. A path that an older version wrote without an id is the first unit known to have had it.
WITH seen AS (
    SELECT DISTINCT
        snapshot_date,
        scope_id AS ou_path,
        ou_id
    FROM lake.scope_compliance_history
    WHERE scope_type = 'ou'
    UNION
    -- A version before 5 kept the id of an account's own unit only.
    SELECT
        snapshot_date,
        ou_path,
        ou_id
    FROM lake.accounts
    WHERE ou_path <> ''
),

paths AS (
    SELECT
        ou_path,
        ou_id,
        min(snapshot_date) AS first_night,
        max(snapshot_date) AS last_night
    FROM seen
    GROUP BY ALL
),

identified AS (
    SELECT
        *,
        coalesce(ou_id, arg_min(ou_id, first_night) OVER (PARTITION BY ou_path), ou_path) AS unit_key
    FROM paths
),

newest AS (
    SELECT
        unit_key,
        arg_max(ou_path, last_night) AS newest_path,
        min(first_night) AS first_night,
        max(last_night) AS last_night
    FROM identified
    GROUP BY unit_key
),

named AS (
    SELECT
        unit_key,
        newest_path,
        last_night,
        newest_path || CASE
            WHEN lag(unit_key) OVER holders IS NULL THEN ''
            ELSE ' (' || unit_key || ')'
        END AS unit
    FROM newest
    WINDOW holders AS (PARTITION BY newest_path ORDER BY last_night DESC, first_night DESC, unit_key)
),

steps AS (
    SELECT
        unit_key,
        newest_path,
        last_night,
        unnest(units_of(newest_path)) AS step
    FROM named
),

ancestors AS (
    SELECT
        unit_key,
        unit AS ancestor
    FROM named
    UNION
    SELECT
        s.unit_key,
        n.unit AS ancestor
    FROM steps AS s
    JOIN seen AS a ON a.snapshot_date = s.last_night AND a.ou_path = s.step
    JOIN identified AS i ON i.ou_path = a.ou_path AND i.ou_id IS NOT DISTINCT FROM a.ou_id
    JOIN named AS n ON n.unit_key = i.unit_key
    -- A unit lies in itself, and not in another one of its path.
    WHERE s.step <> s.newest_path
)

SELECT
    i.ou_path,
    i.ou_id,
    n.unit,
    a.ancestor
FROM identified AS i
JOIN named AS n USING (unit_key)
JOIN ancestors AS a USING (unit_key)
ORDER BY ALL
