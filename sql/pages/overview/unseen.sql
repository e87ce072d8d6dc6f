-- unseen: the one row with the number of accounts and repositories, and of those not seen tonight.
-- from: coverage.
SELECT
    count(*) AS accounts,
    count(*) FILTER (WHERE state = 'ACTIVE') AS active_accounts,
    count(*) FILTER (WHERE first_day_not_seen IS NOT NULL) AS accounts_not_wholly_seen,
    coalesce(sum(repositories_observed), 0)::BIGINT AS repositories_observed,
    coalesce(sum(repositories_unseen), 0)::BIGINT AS repositories_unseen
FROM coverage
