SELECT
    w.waiver_id,
    (
        SELECT count(*)
        FROM findings AS f
        WHERE f.waiver_id = w.waiver_id
            AND is_chosen(f.ou_path)
    ) AS findings,
    w.status,
    strftime(w.expires, '%Y-%m-%d') AS expires,
    w.days_left,
    w.owner AS waiver_owner,
    w.policy_id AS policy,
    w.reason
FROM waivers AS w;
