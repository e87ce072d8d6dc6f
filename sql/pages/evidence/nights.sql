-- nights: the nights of the history, the newest first, each with its newest entry in the log of evidence.
-- key: snapshot_date.  from: nights.
SELECT
    snapshot_date,
    missed,
    sealed_at,
    evidence_sequence,
    evidence_sha256,
    evidence_signed_by,
    evidence_entries
FROM nights
ORDER BY snapshot_date DESC
LIMIT $size OFFSET $offset
