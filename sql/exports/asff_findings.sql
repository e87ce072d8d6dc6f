-- asff_findings: one line of JSON per record: a finding of AWS Security Hub (ASFF).
-- key: policy and object, as Id.  from: records, policies, section_policies, sections.
-- What is empty is left out, and text is cut to Security Hub's limits: Title 256 characters, Description 1,024, others 512 or
-- 1,024; 32 related requirements. SecurityControlId and AssociatedStandards would be counted with AWS's own controls.
-- Source: "AWS Security Finding Format (ASFF)", AWS Security Hub User Guide.
WITH requirements AS (
    SELECT
        h.policy_id,
        list_sort(list(DISTINCT CASE s.framework_id
            WHEN '/frameworks/nist-sp-800-53-r5' THEN 'NIST.800-53.r5 '
            ELSE 'PCI DSS v4.0.1/'
        END || s.section_number))[:32] AS requirements
    FROM section_policies AS h
    JOIN sections AS s USING (section_id)
    WHERE s.framework_id IN ('/frameworks/nist-sp-800-53-r5', '/frameworks/pci-dss-v4.0.1')
        AND s.section_number IS NOT NULL
    GROUP BY h.policy_id
),

described AS (
    SELECT
        r.*,
        c.contextual_name,
        c.description,
        c.severity,
        q.requirements,
        split_part(r.object_id, ':', 2) AS partition,
        CASE r.status WHEN 'INCOMPLIANT' THEN c.severity ELSE 'INFORMATIONAL' END AS label,
        CASE
            WHEN r.status = 'COMPLIANT' THEN 'PASSED'
            WHEN r.status = 'INCOMPLIANT' THEN 'FAILED'
            WHEN undetermined_reason(r.status, r.condition_index) = 'unknown_value' THEN 'WARNING'
            ELSE 'NOT_AVAILABLE'
        END AS compliance_status
    FROM {exports/records} AS r
    JOIN policies AS c USING (policy_id)
    LEFT JOIN requirements AS q USING (policy_id)
    ORDER BY r.position
)

SELECT
    json_merge_patch('{}', {
        'SchemaVersion': '2018-10-08',
        'Id': concat_ws('/', region, account_id, 'ecr-audit', finding_uid),
        'ProductArn': concat('arn:', partition, ':securityhub:', region, ':', account_id, ':product/', account_id, '/default'),
        'ProductName': 'ECR audit',
        'CompanyName': 'ECR audit',
        'GeneratorId': left(policy_id, 512),
        'AwsAccountId': account_id,
        'Types': ['Software and Configuration Checks/AWS Security Best Practices'],
        'FirstObservedAt': strftime(created_date, '%Y-%m-%dT00:00:00Z'),
        'LastObservedAt': strftime(collected_at, '%Y-%m-%dT%H:%M:%SZ'),
        'CreatedAt': strftime(created_date, '%Y-%m-%dT00:00:00Z'),
        'UpdatedAt': strftime(run_time, '%Y-%m-%dT%H:%M:%SZ'),
        'Severity': {'Label': label},
        'FindingProviderFields': {
            'Severity': {'Label': label, 'Original': severity},
            'Types': ['Software and Configuration Checks/AWS Security Best Practices']
        },
        'Title': left(contextual_name, 256),
        'Description': left(coalesce(nullif(trim(current_state_message), ''), description), 1024),
        'Remediation': CASE WHEN trim(concat(remediation_message, remediation_command)) <> '' THEN {
            'Recommendation': {'Text': left(trim(concat_ws(' ', remediation_message, remediation_command)), 512)}
        } END,
        'ProductFields': {
            'ecr-audit/policy_id': policy_id,
            'ecr-audit/status': status,
            'ecr-audit/observed': observed::VARCHAR,
            'ecr-audit/owner': left(nullif(trim(owner), ''), 1024),
            'ecr-audit/waiver_id': left(waiver_id, 1024),
            'ecr-audit/ticket': left(nullif(trim(ticket), ''), 1024)
        },
        'Compliance': {'Status': compliance_status, 'RelatedRequirements': requirements},
        'RecordState': CASE WHEN status IN ('DISAPPEARED', 'INAPPLICABLE') THEN 'ARCHIVED' ELSE 'ACTIVE' END,
        'Resources': [json_merge_patch('{}', {
            'Type': CASE resource_type(object_id) WHEN 'repository' THEN 'AwsEcrRepository' ELSE 'Other' END,
            'Id': object_id,
            'Partition': partition,
            'Region': region,
            'Details': CASE WHEN image_tag_mutability_raw IS NOT NULL THEN {
                'AwsEcrRepository': {
                    'Arn': object_id,
                    'RepositoryName': resource_name(object_id),
                    -- ASFF knows these two values only.
                    'ImageTagMutability': CASE
                        WHEN image_tag_mutability_raw IN ('MUTABLE', 'IMMUTABLE') THEN image_tag_mutability_raw
                    END,
                    'ImageScanningConfiguration': CASE WHEN scan_on_push IS NOT NULL THEN {'ScanOnPush': scan_on_push} END
                },
                'Other': CASE
                    WHEN image_tag_mutability_raw NOT IN ('MUTABLE', 'IMMUTABLE') THEN {
                        'ImageTagMutability': left(nullif(trim(image_tag_mutability_raw), ''), 1024),
                        'ExclusionFilters': left(nullif(array_to_string(exclusion_filters, ', '), ''), 1024)
                    }
                END
            } END
        }::JSON)]
    }::JSON) AS line
FROM described
