-- Expressions that several files of sql/ share, also those of pages and analyses: each session has them, and so has the
-- published DuckDB file, where everybody can use them. A macro here reads no variable and no table, and has no lambda,
-- whose spelling DuckDB 1.2's format does not keep (plugins/ecr_audit/macros.py).

-- is_collected: whether a target was read, by its outcome.
CREATE MACRO is_collected(outcome) AS outcome = 'COLLECTED';

-- is_countable: whether a target counts in coverage: all but those that cannot have repositories.
CREATE MACRO is_countable(outcome) AS outcome NOT IN ('REGION_DISABLED', 'ACCOUNT_INACTIVE');

-- is_unread: whether a target should have been read but was not: its repositories are unknown.
CREATE MACRO is_unread(outcome) AS is_countable(outcome) AND NOT is_collected(outcome);

-- coverage_percent: the percentage of countable targets that were read; NULL without any. An aggregate.
CREATE MACRO coverage_percent(outcome) AS
    100.0 * count(*) FILTER (WHERE is_collected(outcome)) / nullif(count(*) FILTER (WHERE is_countable(outcome)), 0);

-- has_verdict: whether a status is COMPLIANT or INCOMPLIANT; the others are not counted.
CREATE MACRO has_verdict(status) AS status IN ('COMPLIANT', 'INCOMPLIANT');

-- compliance_percent: the percentage of verdicts that comply; NULL where there are none ("no data").
CREATE MACRO compliance_percent(compliant, incompliant) AS 100.0 * compliant / nullif(compliant + incompliant, 0);

-- is_finding: whether an object is INCOMPLIANT, or was when it could last be evaluated. Not evaluated is not fixed.
CREATE MACRO is_finding(status, incompliant_start_date, incompliant_end_date) AS
    status = 'INCOMPLIANT'
    OR (status = 'UNDETERMINED' AND incompliant_start_date IS NOT NULL AND incompliant_end_date IS NULL);

-- spreadsheet_safe: a text that a spreadsheet does not run as a formula. One that begins like a formula, or with an
-- apostrophe itself, gets an apostrophe before it; to undo that, strip one leading apostrophe from each text.
-- Source: "CSV Injection", OWASP; the full-width signs are read as formulas by spreadsheets in East Asian settings, and
-- control and formatting characters before a sign are skipped.
CREATE MACRO spreadsheet_safe(cell) AS
    regexp_replace(cell, '^[\p{C}''=+@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}-]', '''\0');

-- is_in_unit: whether a path is that of a unit or of one below it. A pattern such as Root/Prod%
-- would take Root/Production as well.
CREATE MACRO is_in_unit(ou_path, unit) AS ou_path = unit OR starts_with(ou_path, unit || '/');

-- undetermined_reason: why an object is UNDETERMINED: not_seen (its account and region were not read), not_read (a value
-- that the policy needs was not read) or unknown_value (the policy does not know the value); NULL with another status.
CREATE MACRO undetermined_reason(status, condition_index) AS CASE
    WHEN status <> 'UNDETERMINED' THEN NULL
    WHEN condition_index = 599 THEN 'not_seen'
    WHEN condition_index = 699 THEN 'not_read'
    ELSE 'unknown_value'
END;

-- resource_type: the type in an ARN, arn:partition:service:region:account:type/name (AWS General Reference): repository or
-- registry.
CREATE MACRO resource_type(arn) AS split_part(split_part(arn, ':', 6), '/', 1);

-- resource_name: the name in an ARN, with its namespace; its type where it has none, as a registry.
CREATE MACRO resource_name(arn) AS coalesce(nullif(substr(arn, strpos(arn, '/') + 1), arn), split_part(arn, ':', 6));

-- is_release_tag: whether an image tag looks like a release, which nobody expects to move: it ends with a version of three
-- or four numbers and what follows it (1.2.3, v2.0.0-rc.1), a date (2026-11-29, 20261129.2) or a commit hash (at least
-- seven hexadecimal digits with a letter and a number among them: main-3f9a1c7), or it is a build number (1234,
-- build-1234). Versions of one or two numbers (v1, 1.25) move by design; so does what has latest, snapshot, cache, pr or
-- mr for one of its words.
CREATE MACRO is_release_tag(tag) AS
    NOT regexp_matches(lower(tag), '(^|[-_.])(latest|snapshot|cache|buildcache|pr|mr)([-_.]|$)')
    AND (
        regexp_matches(lower(tag), '(^|[-_])v?[0-9]+[.][0-9]+[.][0-9]+([.][0-9]+)?((a|b|rc|alpha|beta)[0-9]+|[-_+.].*)?$')
        OR regexp_matches(
            lower(tag),
            '(^|[-_.])(19|20)[0-9]{2}([-_.]?)(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12][0-9]|3[01])([-_.t]?[0-9]+)*z?$'
        )
        OR (
            regexp_matches(lower(tag), '(^|[-_.])g?[0-9a-f]{7,64}$')
            AND regexp_matches(regexp_extract(lower(tag), '[0-9a-f]{7,64}$'), '[0-9]')
            AND regexp_matches(regexp_extract(lower(tag), '[0-9a-f]{7,64}$'), '[a-f]')
        )
        OR regexp_full_match(lower(tag), '((build|ci|run|rev|b|r)[-_.]?)?[0-9]+')
    );

-- uuid_of_sha1: a SHA-1 digest, in hexadecimal, as a UUID of version 5 (RFC 9562).
CREATE MACRO uuid_of_sha1(digest) AS concat(
    substr(digest, 1, 8), '-', substr(digest, 9, 4),
    '-5', substr(digest, 14, 3),
    '-', translate(substr(digest, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab'), substr(digest, 18, 3),
    '-', substr(digest, 21, 12)
);

-- export_uid: the id of a thing in exported files, which stays for as long as the parts do: a UUID of version 5. Its
-- namespace is that of the URL https://ecr-audit.invalid, and its name the parts, none of them NULL, joined by a unit
-- separator. Both never change: tools elsewhere know a finding by its id.
CREATE MACRO export_uid(parts) AS
    uuid_of_sha1(sha1(unhex('4944820df7065f9dac3f5cd4a934a2ca') || encode(array_to_string(parts, chr(31)))));

-- assessment_reason: how a section is assessed, in OSCAL's words: fail (findings beyond waivers), other (all findings are
-- waived, something was not evaluated, or not all targets were read), pass (all was seen and complies); NULL where there
-- is nothing to judge. Only pass is satisfied.
CREATE MACRO assessment_reason(compliant, incompliant, waived, undetermined, coverage_percent) AS CASE
    WHEN compliant + incompliant + undetermined = 0 THEN NULL
    WHEN incompliant > waived THEN 'fail'
    WHEN incompliant > 0 OR undetermined > 0 OR coalesce(coverage_percent, 0) < 100 THEN 'other'
    ELSE 'pass'
END;

-- mutability_command: the command that sets a repository's image tag mutability, with exclusion filters if there are any.
-- With the registry's id it fails, rather than change a namesake, under another account's credentials. Names and filters
-- have no quotes (CreateRepository and PutImageTagMutability, Amazon ECR API Reference).
CREATE MACRO mutability_command(region, account_id, repository_name, setting, filters) AS concat(
    'aws ecr put-image-tag-mutability --region ', region,
    ' --registry-id ', account_id,
    ' --repository-name ''', repository_name, '''',
    ' --image-tag-mutability ', setting,
    CASE
        WHEN len(filters) > 0 THEN concat(
            ' --image-tag-mutability-exclusion-filters ''filterType=WILDCARD,filter=',
            array_to_string(filters, ''' ''filterType=WILDCARD,filter='), ''''
        )
    END
);

-- mutability_in_terraform: the same as arguments of a resource aws_ecr_repository.
-- Source: aws_ecr_repository, the AWS provider's documentation.
CREATE MACRO mutability_in_terraform(setting, filters) AS concat(
    'image_tag_mutability = "', setting, '"',
    CASE
        WHEN len(filters) > 0 THEN concat(
            E'\n\nimage_tag_mutability_exclusion_filter {\n  filter_type = "WILDCARD"\n  filter      = "',
            array_to_string(
                filters,
                E'"\n}\n\nimage_tag_mutability_exclusion_filter {\n  filter_type = "WILDCARD"\n  filter      = "'
            ),
            E'"\n}'
        )
    END
);

-- mutability_in_cloudformation: the same as properties of an AWS::ECR::Repository, in YAML.
-- Source: AWS::ECR::Repository, CloudFormation Template Reference.
CREATE MACRO mutability_in_cloudformation(setting, filters) AS concat(
    'ImageTagMutability: ', setting,
    CASE
        WHEN len(filters) > 0 THEN concat(
            E'\nImageTagMutabilityExclusionFilters:\n',
            E'  - ImageTagMutabilityExclusionFilterType: WILDCARD\n    ImageTagMutabilityExclusionFilterValue: "',
            array_to_string(
                filters,
                E'"\n  - ImageTagMutabilityExclusionFilterType: WILDCARD\n    ImageTagMutabilityExclusionFilterValue: "'
            ),
            '"'
        )
    END
);

-- mutability_in_cdk: the same as properties of an ecr.Repository, in TypeScript.
-- Source: class Repository of aws-cdk-lib.aws_ecr, AWS CDK API Reference.
CREATE MACRO mutability_in_cdk(setting, filters) AS concat(
    'imageTagMutability: ecr.TagMutability.', setting, ',',
    CASE
        WHEN len(filters) > 0 THEN concat(
            E'\nimageTagMutabilityExclusionFilters: [\n  ecr.ImageTagMutabilityExclusionFilter.wildcard("',
            array_to_string(filters, E'"),\n  ecr.ImageTagMutabilityExclusionFilter.wildcard("'),
            E'"),\n],'
        )
    END
);
