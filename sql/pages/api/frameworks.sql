-- frameworks: one row per framework, by name.
-- key: framework_id.  from: frameworks.
SELECT *
FROM frameworks
ORDER BY name
