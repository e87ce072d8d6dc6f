-- waivers: one row per waiver, the one that expires first at the top.
-- key: waiver_id.  from: waivers.
SELECT *
FROM waivers
ORDER BY expires, waiver_id
