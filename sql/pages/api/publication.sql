-- publication: the one row that says what is shown, and what it was made of.
-- from: publication.
SELECT * REPLACE (published_at AT TIME ZONE 'UTC' AS published_at)
FROM publication
