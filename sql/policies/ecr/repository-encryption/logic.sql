-- Verdicts on repositories by whose key encrypts their images: only a customer managed KMS key passes.
-- A row: the verdict on one repository.  key: object_id (its ARN).  from: staging.repositories.
-- The first condition that matches wins: 199 no KMS key, 299 the customer's key, 699 whose key is not read, 799 AWS's
-- key, 499 no value that is known.
-- A key in another account is a customer's: keys that AWS manages are in the account that uses them (AWS KMS Developer
-- Guide, "AWS KMS keys"). So neither that nor AES256 needs the facet.
-- No command: ECR sets the encryption of a repository when it is created, and never after that.
WITH keys AS (
    SELECT
        *,
        comparable(encryption_type) AS type,
        -- arn:partition:kms:region:account:key/id
        CASE WHEN split_part(kms_key, ':', 3) = 'kms' THEN split_part(kms_key, ':', 5) ELSE '' END AS key_account
    FROM staging.repositories
),

conditions AS (
    SELECT
        *,
        CASE
            WHEN type = 'AES256' THEN 199
            WHEN type NOT IN ('KMS', 'KMS_DSSE') THEN 499
            WHEN key_account NOT IN ('', account_id) THEN 299
            WHEN keys_unread IS NOT NULL THEN 699
            WHEN kms_key_manager = 'CUSTOMER' THEN 299
            WHEN kms_key_manager = 'AWS' THEN 799
            ELSE 499
        END AS condition_index
    FROM keys
)

SELECT
    repository_arn AS object_id,
    owner,
    condition_index,
    CASE condition_index
        WHEN 199 THEN 'INCOMPLIANT'
        WHEN 299 THEN 'COMPLIANT'
        WHEN 799 THEN 'INCOMPLIANT'
        ELSE 'UNDETERMINED'
    END AS status,
    CASE
        WHEN condition_index = 199
            THEN 'The encryption type is AES256: images are encrypted by keys of Amazon S3.'
        WHEN condition_index = 299 AND key_account <> account_id AND key_account <> ''
            THEN 'The encryption type is ' || type || ', by a key of account ' || key_account
                || ', which is not one that AWS manages: ' || kms_key || '.'
        WHEN condition_index = 299
            THEN 'The encryption type is ' || type || ', by a customer managed key: ' || kms_key || '.'
        WHEN condition_index = 699
            THEN 'The encryption type is ' || type || '; who manages the key is not known: ' || keys_unread || '.'
        WHEN condition_index = 799
            THEN 'The encryption type is ' || type || ', by a key that AWS manages: ' || kms_key || '.'
        WHEN type = ''
            THEN 'The encryption type is empty: ECR returned no value.'
        WHEN type NOT IN ('KMS', 'KMS_DSSE')
            THEN 'The encryption type is ''' || encryption_type || ''', which is not a value that this policy knows:'
                || ' AES256, KMS, KMS_DSSE.'
        WHEN coalesce(kms_key, '') = ''
            THEN 'The encryption type is ' || type || ', and ECR returned no key.'
        ELSE 'The encryption type is ' || type || '; the manager of the key is ''' || kms_key_manager
            || ''', which is not a value that this policy knows: AWS, CUSTOMER.'
    END AS current_state_message,
    CASE
        WHEN condition_index IN (199, 799)
            THEN 'Create a repository with a customer managed key, copy the images, and move pushes and pulls to it; ECR'
                || ' cannot change the encryption of a repository that exists.'
        WHEN condition_index = 499
            THEN 'Look at the repository''s encryption in ECR, and at its key in KMS. If AWS has introduced a new value,'
                || ' decide in logic.sql whether it passes.'
    END AS remediation_message,
    NULL::VARCHAR AS remediation_command
FROM conditions
