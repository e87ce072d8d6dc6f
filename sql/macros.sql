-- Expressions that several files of sql/ share, for the sessions that evaluate and publish (plugins/ecr_audit/warehouse/).
-- They also have those of published_macros.sql.

-- tagged_owner: the owner that a repository's tags name; NULL when they name none, or were not collected.
-- variable: owner_tags (VARCHAR[]), the keys of the tags that name an owner, best first. Keys are matched without regard
-- to case, since `Owner` and `owner` are both common; an empty value is not an owner.
CREATE MACRO tagged_owner(tags) AS coalesce(
    -- Most have the first key, spelt as in the setting: much cheaper than testing all keys.
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

-- comparable: a value of AWS, such as a setting, in upper case and trimmed; '' for NULL.
CREATE MACRO comparable(word) AS upper(trim(coalesce(word, ''), E' \t\r\n'));

-- known_reading_of_tags: when a repository's tags were read; NULL if never. Lakes before schema version 5 do
-- not have the time, and have only that night's tags.
CREATE MACRO known_reading_of_tags(tags_read_at, tags, collected_at) AS
    coalesce(tags_read_at, CASE WHEN tags IS NOT NULL THEN collected_at END);

-- failed_facets: facets of a repository that were to be read and were not. Lakes before schema version 7 have only tags,
-- and their failure in the error code of the target.
CREATE MACRO failed_facets(facets_failed, error_code, tags_read_at, collected_at) AS CASE
    WHEN facets_failed IS NOT NULL THEN facets_failed
    WHEN starts_with(error_code, 'Tags.') AND tags_read_at IS DISTINCT FROM collected_at
        THEN [{facet: 'tags', error_code: substr(error_code, 6)}]
END;

-- read_at_of: when a facet of a repository was read.
CREATE MACRO read_at_of(facet, repository) AS CASE facet
    WHEN 'tags' THEN repository.tags_read_at
    WHEN 'scanning' THEN repository.scanning_read_at
    WHEN 'keys' THEN repository.keys_read_at
    WHEN 'lifecycle' THEN repository.lifecycle_read_at
    WHEN 'policies' THEN repository.policies_read_at
END;

-- is_rotated: whether a facet is read of one object in rotation_nights each night. plugins/ecr_audit/vocabulary.py names
-- the same; a test compares.
CREATE MACRO is_rotated(facet) AS facet IN ('registries', 'lifecycle', 'policies');

-- is_current: whether the known values of a facet stand for this night: read in it, or by rotation. A value of a facet by
-- rotation may miss one turn, as in a night that AWS throttles or that was not audited.
-- variable: rotation_nights.
CREATE MACRO is_current(facet, read_at, collected_at) AS coalesce(
    read_at = collected_at
    OR (
        is_rotated(facet)
        AND getvariable('rotation_nights') > 1
        AND date_diff('day', read_at, collected_at) < 2 * getvariable('rotation_nights')
    ),
    FALSE
);

-- unread_because: why a facet's values do not stand for this night, as the end of a sentence; NULL when they do.
-- variables: collected_facets, rotation_nights.
CREATE MACRO unread_because(facet, read_at, collected_at, facets_failed) AS CASE
    WHEN is_current(facet, read_at, collected_at) THEN NULL
    WHEN NOT list_contains(getvariable('collected_facets'), facet) THEN 'ECR_AUDIT_COLLECT leaves out ' || facet
    ELSE coalesce(
        list_filter(facets_failed, lambda failed: failed.facet = facet)[1].error_code,
        CASE WHEN is_rotated(facet) THEN 'its turn has not come yet' ELSE 'AWS did not return it' END
    ) || coalesce(', last read on ' || strftime(read_at, '%Y-%m-%d'), '')
END;

-- forbids_overwriting: whether a repository's setting, in upper case, protects a tag from being overwritten. A filter is a
-- whole tag, in which * stands for any characters (Amazon ECR User Guide, "Preventing image tags from being overwritten").
CREATE MACRO forbids_overwriting(setting, exclusion_filters, tag) AS coalesce(
    CASE setting
        WHEN 'IMMUTABLE' THEN TRUE
        WHEN 'IMMUTABLE_WITH_EXCLUSION'
            THEN len(list_filter(exclusion_filters, lambda pattern: tag GLOB pattern)) = 0
        WHEN 'MUTABLE_WITH_EXCLUSION'
            THEN len(list_filter(exclusion_filters, lambda pattern: tag GLOB pattern)) > 0
    END,
    FALSE
);

-- recent_nights: the nights, up to the newest, over which tags that moved are counted for a repository.
CREATE MACRO recent_nights() AS 30;

-- recent: those of some nights that are among the last recent_nights(), up to a night.
CREATE MACRO recent(nights, newest) AS
    list_filter(coalesce(nights, []), lambda night: night > newest - recent_nights());

-- image_tags_stand_nights: the nights for which a complete read of a repository's image tags stands.
CREATE MACRO image_tags_stand_nights() AS 7;

-- units_of: the paths of an account's organizational units, from the root down; [] for an account in none. A slash within a
-- name is %2F in a path (plugins/ecr_audit/unit_paths.py), so that each slash lies between two names.
CREATE MACRO units_of(ou_path) AS list_transform(
    CASE WHEN coalesce(ou_path, '') = '' THEN [] ELSE range(1, len(string_split(ou_path, '/')) + 1) END,
    lambda depth: array_to_string(string_split(ou_path, '/')[1:depth], '/')
);

-- shell_quoted: a word as one argument of a POSIX shell's command. Few words hold a quote: to look for one first is much
-- cheaper than to replace it in all of them.
CREATE MACRO shell_quoted(word) AS concat(
    '''', CASE WHEN contains(word, '''') THEN replace(word, '''', '''\''''') ELSE word END, ''''
);

-- The engine's own conditions, which no policy may use. plugins/ecr_audit/vocabulary.py has them in words; a test compares.
CREATE MACRO condition_gone() AS 99;
CREATE MACRO condition_account_inactive() AS 399;
CREATE MACRO condition_not_seen() AS 599;

-- status_of_engine: the status that a condition of the engine's decides; NULL for a condition of a policy's.
CREATE MACRO status_of_engine(condition_index) AS CASE condition_index
    WHEN condition_gone() THEN 'DISAPPEARED'
    WHEN condition_account_inactive() THEN 'INAPPLICABLE'
    WHEN condition_not_seen() THEN 'UNDETERMINED'
END;

-- is_status: whether a word is one of the five statuses of a verdict.
CREATE MACRO is_status(word) AS word IN ('COMPLIANT', 'INCOMPLIANT', 'UNDETERMINED', 'INAPPLICABLE', 'DISAPPEARED');

-- tag_families: wildcards for the families that an image tag may belong to: by its first word (sha256-* for a signature of
-- cosign, cache* for cache3) and by its last (*-latest). One wildcard each; AWS takes two.
CREATE MACRO tag_families(tag) AS list_filter(
    [
        CASE
            WHEN regexp_matches(tag, '^[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*[-_.].')
                THEN regexp_extract(tag, '^[A-Za-z0-9]*[-_.]') || '*'
            WHEN regexp_matches(tag, '^[A-Za-z]+[0-9]+$') THEN regexp_extract(tag, '^[A-Za-z]+') || '*'
        END,
        CASE WHEN regexp_matches(tag, '.[-_.][A-Za-z][A-Za-z0-9]*$') THEN '*' || regexp_extract(tag, '[-_.][A-Za-z0-9]+$') END
    ],
    lambda family: family IS NOT NULL
);

-- named_moving_tags: the image tags that a repository's owner says have to move: the words of its tag
-- ecr-audit:moving-tags, none for an empty one; NULL without that tag, or if one of them is a release tag or no tag at all.
CREATE MACRO named_moving_tags(tags) AS CASE
    WHEN tags['ecr-audit:moving-tags'] IS NULL THEN NULL
    WHEN len(list_filter(
        regexp_split_to_array(trim(tags['ecr-audit:moving-tags']), '\s+'),
        lambda word: word <> '' AND (is_release_tag(word) OR NOT regexp_full_match(word, '[0-9A-Za-z._-]{1,128}'))
    )) > 0 THEN NULL
    ELSE list_sort(list_distinct(list_filter(
        regexp_split_to_array(trim(tags['ecr-audit:moving-tags']), '\s+'), lambda word: word <> ''
    )))
END;

-- managed_by: the tool whose code owns a repository's settings, by its tags and name; `code` where they say that there is
-- one, and not which; NULL where they say nothing, which does not prove that there is none.
-- variable: code_tags (VARCHAR[]), keys of tags that name such a tool. Keys are matched without regard to case.
-- Sources: "Resource tags", AWS CloudFormation User Guide; the tags of AWS Copilot; the names of the CDK's bootstrap stack.
CREATE MACRO managed_by(tags, repository_name) AS CASE
    WHEN map_contains(tags, 'copilot-application') THEN 'copilot'
    WHEN regexp_matches(repository_name, '^cdk-.*-container-assets-') THEN 'cdk'
    WHEN map_contains(tags, 'aws:cloudformation:stack-name') THEN 'cloudformation'
    ELSE list_transform(
        list_filter(
            map_entries(tags),
            lambda entry: list_contains(getvariable('code_tags'), lower(entry.key))
                AND lower(trim(entry.value)) NOT IN ('', 'false', 'no', '0', 'none', 'manual', 'console')
        ),
        lambda entry: coalesce(
            nullif(
                regexp_extract(
                    lower(entry.key || ' ' || entry.value),
                    'terraform|opentofu|terragrunt|cloudformation|copilot|cdk|pulumi|crossplane'
                ),
                ''
            ),
            'code'
        )
    )[1]
END;
