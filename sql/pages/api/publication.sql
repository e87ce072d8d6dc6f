-- publication: the one row that describes the publication and its inputs.
-- from: publication.
SELECT * REPLACE (published_at AT TIME ZONE 'UTC' AS published_at)
FROM publication
