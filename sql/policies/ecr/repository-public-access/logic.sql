-- Verdicts on repositories by whether their permissions policy allows everyone.
-- A row: the verdict on one repository.  key: object_id (its ARN).  from: staging.repositories.
-- The first condition that matches wins: 699 not read, 199 a statement for everyone that nothing confines, 499 a text or a
-- condition that is not known, 299 none of these.
-- Everyone is a principal `*`, alone or among those of AWS, and NotPrincipal with Allow, which means all others. The
-- conditions of a statement all have to hold, so that one that confines is enough. Deny statements are not weighed: how
-- much of an Allow they take away depends on the request. Sources: "IAM JSON policy elements" in the IAM User Guide; "The
-- meaning of public" in the Amazon S3 User Guide, for most of the keys and for how wide a range of addresses may be.
WITH
-- Keys that confine a statement: by operators of which kind, and by which values; and the patterns that leave it open,
-- because they begin with a wildcard. Any other value is not known. The variables are those of the repository's own
-- account and organization.
confining_keys (key, kind, confined, open) AS (
    VALUES
    ('aws:principalorgid', 'text', 'o-[a-z0-9]{10,32}|\$\{aws:resourceorgid\}', '(o-)?[*?].*'),
    ('aws:principalorgpaths', 'text', 'o-[a-z0-9]{10,32}/.*', '(o-)?[*?].*'),
    ('aws:sourceorgid', 'text', 'o-[a-z0-9]{10,32}|\$\{aws:resourceorgid\}', '(o-)?[*?].*'),
    ('aws:sourceorgpaths', 'text', 'o-[a-z0-9]{10,32}/.*', '(o-)?[*?].*'),
    ('aws:vpceorgid', 'text', 'o-[a-z0-9]{10,32}|\$\{aws:resourceorgid\}', '(o-)?[*?].*'),
    ('aws:vpceorgpaths', 'text', 'o-[a-z0-9]{10,32}/.*', '(o-)?[*?].*'),
    ('aws:principalaccount', 'text', '[0-9]{12}|\$\{aws:resourceaccount\}', '[*?].*'),
    ('aws:sourceaccount', 'text', '[0-9]{12}|\$\{aws:resourceaccount\}', '[*?].*'),
    ('aws:vpceaccount', 'text', '[0-9]{12}|\$\{aws:resourceaccount\}', '[*?].*'),
    ('aws:sourcevpc', 'text', 'vpc-[0-9a-f]{8,17}', '(vpc-)?[*?].*'),
    ('aws:sourcevpce', 'text', 'vpce-[0-9a-f]{8,17}', '(vpce-)?[*?].*'),
    ('aws:userid', 'text', 'a[a-z0-9]{15,}(:.*)?|[0-9]{12}', '[*?].*'),
    -- With the account before any wildcard: a name after a wildcard can be given in every account.
    (
        'aws:principalarn', 'arn', 'arn:[a-z-]+:(iam|sts)::[0-9]{12}:.*',
        '([*?]|arn:[*?]|arn:[^:]*:[^:]*:[^:]*:[*?]).*'
    ),
    (
        'aws:sourcearn', 'arn', 'arn:[a-z-]+:([a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.*|s3:::[^*?]+)',
        '([*?]|arn:[*?]|arn:[^:]*:[^:]*:[^:]*:[*?]).*'
    ),
    -- Ranges of at most /8 in version 4, and /32 in version 6.
    (
        'aws:sourceip', 'address',
        '[0-9.]{7,15}(/([89]|[12][0-9]|3[0-2]))?|[0-9a-f:]*:[0-9a-f:.]*(/(3[2-9]|[4-9][0-9]|1[01][0-9]|12[0-8]))?',
        '[0-9.]{7,15}/0?[0-7]|[0-9a-f:]*:[0-9a-f:.]*/([0-9]|[12][0-9]|3[01])'
    )
),

operators (operator, kind) AS (
    VALUES
    ('stringequals', 'text'),
    ('stringequalsignorecase', 'text'),
    ('stringlike', 'text'),
    ('stringequals', 'arn'),
    ('stringequalsignorecase', 'arn'),
    ('stringlike', 'arn'),
    ('arnequals', 'arn'),
    ('arnlike', 'arn'),
    ('ipaddress', 'address')
),

-- Each text once: many repositories have the same. NUL, which a JSON escape can stand for, is in no name, and not every
-- format can store it.
documents AS (
    SELECT DISTINCT
        repository_policy,
        CASE WHEN NOT contains(repository_policy, '\u0000') THEN TRY_CAST(repository_policy AS JSON) END AS document
    FROM staging.repositories
    WHERE policies_unread IS NULL
        AND repository_policy IS NOT NULL
),

listed AS (
    SELECT
        repository_policy,
        CASE json_type(document, '$.Statement')
            WHEN 'ARRAY' THEN json_extract(document, '$.Statement[*]')
            WHEN 'OBJECT' THEN [json_extract(document, '$.Statement')]
        END AS statements
    FROM documents
),

statements AS (
    SELECT
        repository_policy,
        unnest(statements) AS statement,
        generate_subscripts(statements, 1) AS number
    FROM listed
),

described AS (
    SELECT
        repository_policy,
        number,
        statement,
        statement ->> '$.Effect' AS effect,
        json_extract(statement, '$.Principal') AS principal,
        json_exists(statement, '$.NotPrincipal') AS is_for_others,
        coalesce('''' || (statement ->> '$.Sid') || '''', number::VARCHAR) AS name,
        CASE json_type(statement, '$.Action')
            WHEN 'ARRAY' THEN array_to_string(json_extract_string(statement, '$.Action[*]'), ', ')
            WHEN 'VARCHAR' THEN statement ->> '$.Action'
        END AS actions
    FROM statements
),

addressed AS (
    SELECT
        *,
        CASE
            WHEN effect = 'Deny' THEN 'nobody'
            WHEN (effect IS DISTINCT FROM 'Allow') THEN 'unknown'
            WHEN is_for_others THEN 'others'
            WHEN json_type(principal) = 'VARCHAR' AND (principal ->> '$') = '*' THEN 'everyone'
            WHEN (json_type(principal) IS DISTINCT FROM 'OBJECT') THEN 'unknown'
            WHEN (principal ->> '$.AWS') = '*' OR list_contains(json_extract_string(principal, '$.AWS[*]'), '*')
                THEN 'everyone'
            WHEN len(json_keys(principal)) = 0
                OR NOT list_has_all(['AWS', 'Service', 'Federated', 'CanonicalUser'], json_keys(principal))
                THEN 'unknown'
            -- A wildcard within a principal is not one that AWS documents.
            WHEN len(list_filter(
                list_concat(json_extract_string(principal, '$.*'), json_extract_string(principal, '$.*[*]')),
                lambda named: contains(named, '*')
            )) > 0 THEN 'unknown'
            ELSE 'named'
        END AS whom
    FROM described
),

-- One row per key of a condition on a statement for everyone.
conditions AS (
    SELECT
        s.repository_policy,
        s.number,
        concat_ws(' ', o.key, coalesce(k.key, o.value::VARCHAR)) AS condition,
        regexp_replace(lower(o.key), '^foranyvalue:', '') AS operator,
        lower(k.key) AS key,
        CASE k.type WHEN 'ARRAY' THEN json_extract_string(k.value, '$[*]') ELSE [k.value ->> '$'] END AS given
    FROM addressed AS s
    CROSS JOIN json_each(s.statement, '$.Condition') AS o
    CROSS JOIN json_each(o.value) AS k
    WHERE s.whom IN ('everyone', 'others')
),

-- Each condition once: a pattern that is not the same in all rows is compiled for each.
evaluated AS (
    SELECT
        c.*,
        CASE
            -- True for a request without the key, or for whoever is not named.
            WHEN starts_with(c.operator, 'forallvalues:') OR ends_with(c.operator, 'ifexists') THEN 'open'
            WHEN c.operator = 'null' OR contains(c.operator, 'not') THEN 'open'
            -- Whoever calls chooses these.
            WHEN c.key IN ('aws:securetransport', 'aws:useragent', 'aws:referer') THEN 'open'
            WHEN k.key IS NULL OR o.operator IS NULL OR len(c.given) = 0 THEN 'unknown'
            WHEN len(list_filter(c.given, lambda value: regexp_full_match(lower(value), k.confined))) = len(c.given)
                THEN 'confined'
            -- In these operators a wildcard is a character as any other.
            WHEN starts_with(c.operator, 'stringequals') THEN 'unknown'
            WHEN len(list_filter(c.given, lambda value: regexp_full_match(lower(value), k.open))) > 0 THEN 'open'
            ELSE 'unknown'
        END AS effect
    FROM (SELECT DISTINCT operator, key, given FROM conditions) AS c
    LEFT JOIN confining_keys AS k USING (key)
    LEFT JOIN operators AS o ON o.operator = c.operator AND o.kind = k.kind
),

by_statement AS (
    SELECT
        repository_policy,
        number,
        bool_or(effect = 'confined') AS is_confined,
        array_agg(condition ORDER BY condition) FILTER (WHERE effect = 'unknown') AS unknown
    FROM conditions AS c
    JOIN evaluated AS e
        ON e.operator IS NOT DISTINCT FROM c.operator
        AND e.key IS NOT DISTINCT FROM c.key
        AND e.given IS NOT DISTINCT FROM c.given
    GROUP BY repository_policy, number
),

by_policy AS (
    SELECT
        a.repository_policy,
        array_agg(
            'statement ' || a.name || ' allows '
                || CASE a.whom WHEN 'others' THEN 'everyone but those whom it names' ELSE 'everyone' END
                || coalesce(' (' || a.actions || ')', '')
            ORDER BY a.number
        ) FILTER (
            WHERE a.whom IN ('everyone', 'others') AND NOT coalesce(c.is_confined, FALSE) AND c.unknown IS NULL
        ) AS open,
        array_agg(
            CASE a.whom
                WHEN 'unknown' THEN 'statement ' || a.name || ' has an effect or principal that this policy does not know'
                ELSE 'statement ' || a.name || ' allows everyone under conditions that this policy does not know: '
                    || array_to_string(c.unknown, ', ')
            END
            ORDER BY a.number
        ) FILTER (
            WHERE a.whom = 'unknown' OR (NOT coalesce(c.is_confined, FALSE) AND c.unknown IS NOT NULL)
        ) AS unknown,
        bool_or(a.effect = 'Deny') AS denies
    FROM addressed AS a
    LEFT JOIN by_statement AS c USING (repository_policy, number)
    GROUP BY a.repository_policy
),

verdicts AS (
    SELECT
        r.*,
        p.open,
        p.unknown,
        coalesce(p.denies, FALSE) AS denies,
        CASE
            WHEN r.policies_unread IS NOT NULL THEN 699
            WHEN r.repository_policy IS NULL THEN 299
            WHEN p.open IS NOT NULL THEN 199
            -- Without any statement it is not a policy that can be read.
            WHEN p.unknown IS NOT NULL OR p.repository_policy IS NULL THEN 499
            ELSE 299
        END AS condition_index
    FROM staging.repositories AS r
    LEFT JOIN by_policy AS p ON p.repository_policy = r.repository_policy
)

SELECT
    repository_arn AS object_id,
    owner,
    condition_index,
    CASE condition_index
        WHEN 199 THEN 'INCOMPLIANT'
        WHEN 299 THEN 'COMPLIANT'
        ELSE 'UNDETERMINED'
    END AS status,
    CASE
        WHEN condition_index = 699
            THEN 'Whom the repository policy allows is not known: ' || policies_unread || '.'
        WHEN condition_index = 199 THEN concat(
            'In the repository policy ', array_to_string(open, '; '), '.',
            CASE WHEN denies THEN ' Its Deny statements are not weighed.' END
        )
        WHEN condition_index = 299 AND repository_policy IS NULL
            THEN 'There is no repository policy: it allows nobody.'
        WHEN condition_index = 299
            THEN 'The repository policy allows nobody but whom it names, or confines it by a condition.'
        WHEN unknown IS NOT NULL
            THEN 'In the repository policy ' || array_to_string(unknown, '; ') || '.'
        ELSE 'The repository policy cannot be read: it is not JSON with statements.'
    END AS current_state_message,
    CASE condition_index
        WHEN 199 THEN 'Name the accounts that may use the repository as principals, or confine the statement to the'
            || ' organization by a condition on aws:PrincipalOrgID. If nobody outside the account uses it, delete the'
            || ' statement.'
        WHEN 499 THEN 'Look at the repository''s policy in ECR, and decide whether its conditions confine it.'
    END AS remediation_message,
    -- None: whom the policy is meant to allow, it does not tell.
    NULL::VARCHAR AS remediation_command
FROM verdicts
