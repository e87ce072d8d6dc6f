-- regions: one row per planned region: the columns of the matrix.
-- key: region.  from: scan_targets.
SELECT DISTINCT region
FROM scan_targets
ORDER BY region
