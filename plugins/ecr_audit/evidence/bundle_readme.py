"""The page and the check of the chain that a bundle holds, for somebody with openssl, sha256sum and duckdb alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ecr_audit.evidence.statement import PAYLOAD_TYPE, Entry
from ecr_audit.text import plural

CHAIN_SQL = """\
-- The chain of the log, and that every file of files/ was sealed: duckdb -f chain.sql, in this folder.
.bail on
CREATE TABLE entries AS
SELECT
    filename,
    sha256(content) AS payload_sha256,
    json_extract_string(content, '$.predicate.sequence')::BIGINT AS sequence,
    json_extract_string(content, '$.predicate.date') AS night,
    json_extract_string(content, '$.predicate.previous.payload_sha256') AS previous,
    json_extract(content, '$.subject[*].digest.sha256') AS subjects
FROM read_text('payloads/*.json');

CREATE TABLE faults AS
WITH followed AS (
    SELECT
        *,
        lag(payload_sha256) OVER (ORDER BY sequence) AS expected,
        row_number() OVER (ORDER BY sequence) AS place
    FROM entries
),

envelopes AS (
    SELECT sha256(from_base64(json_extract_string(content, '$.payload'))) AS payload_sha256
    FROM read_text('log/*.json')
)

SELECT 'an entry is missing before this one, or there twice' AS fault, filename
FROM followed
WHERE sequence <> place
UNION ALL
SELECT 'names another hash than that of the entry before it', filename
FROM followed
WHERE previous IS DISTINCT FROM expected
UNION ALL
SELECT 'is not the payload of an entry of log/', filename
FROM entries
WHERE payload_sha256 NOT IN (SELECT payload_sha256 FROM envelopes)
UNION ALL
SELECT 'is not a subject of any entry', file
FROM glob('files/*')
WHERE file[7:] NOT IN (SELECT json_extract_string(unnest(subjects), '$') FROM entries)
UNION ALL
SELECT 'has other bytes than its name says', filename
FROM read_blob('files/*')
WHERE sha256(content) <> filename[-64:];

SELECT * FROM faults ORDER BY ALL;
SELECT CASE
    WHEN (SELECT count(*) FROM faults) > 0 THEN error('the chain is broken')
    ELSE 'The chain is whole: ' || (SELECT count(*) FROM entries) || ' entries. Its head, to compare: '
        || (SELECT arg_max(payload_sha256, sequence) FROM entries)
END AS result;
"""

_README = """\
# Evidence of the ECR audit, {first} to {last}

{entries} of the log; and all that {nights} rest on ({sampled}), with the night before each. sample.json has the seed
by which they were drawn: `make verify BUNDLE=` draws them again.

## What this proves

- Each verdict of the sampled nights follows from what the audit read of AWS, under the text of the policies then.
- None of it was changed since the nights were sealed, and no night was put in or taken out before the head.
- How much was not seen is in it: `coverage` of each entry counts the outcomes of all accounts and regions.

## What it does not prove

- That AWS answered so: answers of AWS are not signed. CloudTrail of each account has the calls, `DescribeRepositories`
  under sessions named `ecr-audit`, which corroborate them. The column `request_id` of scan_targets has the `requestID`
  of CloudTrail's event for each account and region.
- That nobody with both the key and the log wrote all of it again. So compare the head that step 4 prints with the hash
  that stood in an alert, a workbook or an OSCAL file at the time; and ask for the bucket's Object Lock.
- That nights without an entry were not wanted: ask why they are missing. Nights without one are gaps of the dates.

## Verify it: {commands} commands, in this folder

Programs: {programs}. Read chain.sql and rederive/*.sql before you run them: they are short.

1. The files are as they were packed:

       sha256sum --check --quiet SHA256SUMS

{signatures}

4. The chain is whole, and each file was sealed:

       duckdb -f chain.sql

5. The verdicts of each sampled night follow, by the stored SQL over the stored inventory:

       for night in rederive/*.sql; do duckdb -f "$night" || echo "FAILED $night"; done

`log/` has the entries (in-toto statements in DSSE envelopes), `payloads/` and `signatures/` the same unpacked, `files/`
Parquet and texts by their SHA-256; an entry's `subject` has their names. `exports/`, where it is, has published files:
they are not sealed, the numbers in them can be counted from the verdicts.
"""

# A signature is over the payload behind its type and length (DSSE).
_SIGNED = (
    f"{{{{ printf 'DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} %d ' \"$(wc -c < payloads/$n.json)\";"
    " cat payloads/$n.json; }} > signed"
)
_LOOP = (
    f'for s in signatures/{{key}}/*.sig; do n=$(basename "$s" .sig); {_SIGNED}; {{openssl}} || echo "FAILED $n"; done'
)
_ED25519 = "openssl pkeyutl -verify -pubin -inkey keys/{key}.pem -rawin -in signed -sigfile $s"
_P256 = "openssl dgst -sha256 -verify keys/{key}.pem -signature $s signed"
_SIGNATURES = """\
2. The key is the one that you were given over another channel; its id is the name of its folder in signatures/:

       openssl pkey -pubin -in keys/{key}.pem -outform DER | sha256sum

3. Each entry was signed with that key ({signed}):

       {verify}"""
_UNSIGNED = """\
2. and 3. do not apply: the entries are unsigned, so that whoever could write the log could have made it. Only the head
that step 4 prints, noted elsewhere at the time, stands against that."""


def readme(first: date, last: date, nights: Sequence[date], entries: Sequence[Entry]) -> str:
    """The page of a bundle."""
    signed = [signature for entry in entries for signature in entry.signatures]
    key = signed[-1].keyid if signed else ""
    # A signature of Ed25519 has 64 bytes; one of ECDSA is DER, which is longer.
    is_ed25519 = bool(signed) and len(signed[-1].sig) == 88
    command = (_ED25519 if is_ed25519 else _P256).format(key=key)
    count = f"{sum(bool(entry.signatures) for entry in entries):,} of {len(entries):,} entries are signed"
    loop = _LOOP.format(key=key, openssl=command)
    return _README.format(
        first=first,
        last=last,
        entries=plural(len(entries), "entry", "entries"),
        nights=plural(len(nights), "night"),
        sampled=", ".join(map(str, nights)),
        commands="five" if signed else "three",
        programs="openssl 3, sha256sum, duckdb 1.5" if signed else "sha256sum, duckdb 1.5",
        signatures=_SIGNATURES.format(key=key, signed=count, verify=loop) if signed else _UNSIGNED,
    )
