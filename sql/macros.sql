-- Expressions that several files of sql/ share. Each session has them (see warehouse.py).

-- tagged_owner: the owner that a repository's tags name; NULL when they name none, or were not collected.
-- variable: owner_tags (VARCHAR[]), the keys of the tags that name an owner, best first. Keys are matched without regard
-- to case, since `Owner` and `owner` are both common; an empty value names nobody.
CREATE MACRO tagged_owner(tags) AS coalesce(
    -- Most are spelt as in the setting, and the first key is there: much cheaper than looking at all of them.
    nullif(trim(tags[getvariable('owner_tags')[1]]), ''),
    list_filter(
        flatten(list_transform(
            getvariable('owner_tags'),
            lambda owner_tag: list_transform(
                list_filter(map_entries(tags), lambda tag: lower(tag.key) = lower(owner_tag)),
                lambda tag: trim(tag.value)
            )
        )),
        lambda owner: owner <> ''
    )[1]
);

-- comparable: a word of AWS's, such as a setting, without regard to case and surrounding blanks; '' for NULL.
CREATE MACRO comparable(word) AS upper(trim(coalesce(word, ''), E' \t\r\n'));

-- known_reading_of_tags: when a repository's tags were read; NULL when they never were. Lakes before schema version 5 do
-- not say, and have no tags but those of their night.
CREATE MACRO known_reading_of_tags(tags_read_at, tags, collected_at) AS
    coalesce(tags_read_at, CASE WHEN tags IS NOT NULL THEN collected_at END);

-- tags_are_unread: whether a repository was read and its tags were wanted, and could not be read with it.
CREATE MACRO tags_are_unread(observed, error_code, tags_read_at, collected_at) AS
    observed AND starts_with(error_code, 'Tags.') AND tags_read_at IS DISTINCT FROM collected_at;

-- is_finding: whether an object is INCOMPLIANT, or was when it could last be judged. Lost sight is not fixed.
CREATE MACRO is_finding(status, incompliant_start_date, incompliant_end_date) AS
    status = 'INCOMPLIANT'
    OR (status = 'UNDETERMINED' AND incompliant_start_date IS NOT NULL AND incompliant_end_date IS NULL);

-- units_of: the paths of an account's organizational units, from the root down; [] for an account in none. A slash within a
-- name is %2F in a path (plugins/ecr_audit/unit_paths.py), so that each slash lies between two names.
CREATE MACRO units_of(ou_path) AS list_transform(
    CASE WHEN coalesce(ou_path, '') = '' THEN [] ELSE range(1, len(string_split(ou_path, '/')) + 1) END,
    lambda depth: array_to_string(string_split(ou_path, '/')[1:depth], '/')
);

-- coverage_percent: COLLECTED / (all but REGION_DISABLED and ACCOUNT_INACTIVE); NULL where nothing was to be seen.
CREATE MACRO coverage_percent(outcome) AS
    100.0 * count(*) FILTER (WHERE outcome = 'COLLECTED')
    / nullif(count(*) FILTER (WHERE outcome NOT IN ('REGION_DISABLED', 'ACCOUNT_INACTIVE')), 0);

-- compliance_percent: of what was judged, how much complies; NULL where nothing was ("no data").
CREATE MACRO compliance_percent(compliant, incompliant) AS 100.0 * compliant / nullif(compliant + incompliant, 0);
