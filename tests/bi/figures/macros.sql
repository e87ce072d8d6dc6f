-- For the other files here: what is chosen on the dashboard, as conditions.
CREATE TEMP MACRO chosen_unit() AS coalesce(getvariable('unit'), getvariable('within'));
CREATE TEMP MACRO is_within(path, unit) AS unit IS NULL OR path = unit OR starts_with(path, unit || '/');
CREATE TEMP MACRO is_chosen(path) AS is_within(path, getvariable('unit')) AND is_within(path, getvariable('within'));
CREATE TEMP MACRO is_chosen_scope(type, id) AS
    type = CASE WHEN chosen_unit() IS NULL THEN 'organization' ELSE 'ou' END
    AND id = coalesce(chosen_unit(), 'organization');
CREATE TEMP MACRO is_chosen_night(night) AS
    (getvariable('since') IS NULL OR night >= getvariable('since')::DATE)
    AND (getvariable('until') IS NULL OR night < getvariable('until')::DATE);
CREATE TEMP MACRO account(name, id) AS coalesce(format('{} ({})', name, id), id);
CREATE TEMP MACRO is_chosen_account(name, id) AS
    getvariable('account') IS NULL OR account(name, id) = getvariable('account');
-- A unit goes by its newest path, also on nights on which it had another.
CREATE TEMP TABLE newest_paths AS
SELECT
    ou_id,
    arg_max(scope_id, snapshot_date) AS newest_path
FROM compliance_daily
WHERE scope_type = 'ou'
GROUP BY ou_id;
CREATE TEMP TABLE daily AS
SELECT * REPLACE (coalesce(newest_path, scope_id) AS scope_id)
FROM compliance_daily
LEFT JOIN newest_paths USING (ou_id);
CREATE TEMP MACRO owner_name(name, source) AS name || if(source = 'account', ' (not tagged)', '');
CREATE TEMP MACRO newest_night() AS (SELECT max(snapshot_date) FROM compliance_daily);
