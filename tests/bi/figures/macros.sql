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
CREATE TEMP MACRO newest_night() AS (SELECT max(snapshot_date) FROM compliance_daily);
