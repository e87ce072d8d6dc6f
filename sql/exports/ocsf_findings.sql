-- ocsf_findings: one line of JSON per record: a Compliance Finding of OCSF.
-- key: policy and object, as finding_info.uid.  from: records, policies, section_policies, sections.
-- Version 1.8.0 of the schema, with attributes that 1.6.0 has, too: Security Hub reads that one. Times are in milliseconds.
-- OCSF has no nulls. json_merge_patch leaves them out of objects, and does not look into arrays: the members of those have
-- none, or are merged by themselves.
-- Small: each text once, and captions of numbers only where people filter by them. The order of members is one of those
-- that compress best: what differs between the records of a policy is side by side, at the beginning and at the end.
WITH requirements AS (
    SELECT
        h.policy_id,
        list_sort(list(DISTINCT s.framework_name)) AS standards,
        list_sort(list(DISTINCT s.framework_name || ': ' || s.title)) AS requirements
    FROM section_policies AS h
    JOIN sections AS s USING (section_id)
    GROUP BY h.policy_id
),

-- The text that all findings of a policy and a verdict share: to make it again for each would be most of the work.
checks AS (
    SELECT
        p.policy_id,
        p.contextual_name,
        p.facets,
        v.status,
        json_merge_patch('{}', {
            'class_uid': 2003,
            'category_uid': 2,
            'severity_id': CASE v.status WHEN 'INCOMPLIANT' THEN p.severity_id ELSE 1 END,
            'severity': CASE v.status WHEN 'INCOMPLIANT' THEN p.severity_caption ELSE 'Informational' END,
            'status_code': v.status,
            'compliance': {
                'control': list_filter(p.similar_policies, lambda each: starts_with(each, 'Security Hub '))[1][14:],
                'status_id': v.status_id,
                'status': v.caption,
                'standards': r.standards,
                'requirements': r.requirements,
                'checks': [{
                    'uid': p.policy_id,
                    'name': p.contextual_name,
                    'desc': p.description,
                    'version': p.policy_hash,
                    'severity_id': p.severity_id
                }]
            }
        }::JSON)::VARCHAR AS shared
    FROM (
        SELECT
            *,
            list_position(['LOW', 'MEDIUM', 'HIGH', 'CRITICAL'], severity) + 1 AS severity_id,
            upper(left(severity, 1)) || lower(severity[2:]) AS severity_caption
        FROM policies
    ) AS p
    CROSS JOIN (
        VALUES
            ('COMPLIANT', 1, 'Pass'),
            ('UNDETERMINED', 2, 'Warning'),
            ('INCOMPLIANT', 3, 'Fail'),
            ('INAPPLICABLE', 99, 'INAPPLICABLE'),
            ('DISAPPEARED', 99, 'DISAPPEARED')
    ) AS v (status, status_id, caption)
    LEFT JOIN requirements AS r USING (policy_id)
),

described AS (
    SELECT
        r.*,
        c.contextual_name,
        c.facets,
        c.shared,
        CASE
            WHEN r.waived THEN 3
            WHEN r.status = 'INCOMPLIANT' THEN 1
            WHEN r.status = 'COMPLIANT' THEN 4
            WHEN r.status IN ('DISAPPEARED', 'INAPPLICABLE') THEN 5
            WHEN is_finding(r.status, r.incompliant_start_date, r.incompliant_end_date) THEN 1
            ELSE 0
        END AS status_id
    FROM {exports/records} AS r
    JOIN checks AS c USING (policy_id, status)
    -- Before the lines are made, which are much longer.
    ORDER BY r.position
)

SELECT
    concat(left(shared, -1), ',', substr(json_merge_patch('{}', {
        'cloud': {
            'region': region,
            'org': CASE WHEN organization_id IS NOT NULL THEN {
                'uid': organization_id,
                'ou_name': nullif(ou_path, ''),
                'ou_uid': ou_id
            } END,
            'account': {'uid': account_id, 'type_id': 10, 'name': nullif(account_name, '')},
            'provider': 'AWS'
        },
        'resources': [json_merge_patch('{}', {
            'uid': object_id,
            'role_id': 1,
            'type': CASE resource_type(object_id)
                WHEN 'repository' THEN 'AWS::ECR::Repository'
                ELSE 'AWS::ECR::Registry'
            END,
            'data': CASE WHEN image_tag_mutability_raw IS NOT NULL THEN {
                'image_tag_mutability_raw': image_tag_mutability_raw,
                'exclusion_filters': nullif(exclusion_filters, []),
                'overwritable_tags': overwritable_tags
            } END,
            'name': resource_name(object_id),
            'region': region,
            'cloud_partition': split_part(object_id, ':', 2),
            'owner': {'name': owner}
        }::JSON)],
        'type_uid': 200300 + activity_id,
        'activity_id': activity_id,
        'time': epoch_ms(run_time),
        'time_dt': strftime(run_time, '%Y-%m-%dT%H:%M:%S.%gZ'),
        'status_id': status_id,
        'status': ['Unknown', 'New', 'In Progress', 'Suppressed', 'Resolved', 'Archived'][status_id + 1],
        'message': current_state_message,
        'finding_info': {
            'title': contextual_name,
            'created_time': epoch_ms(created_date),
            'last_seen_time': epoch_ms(collected_at),
            'modified_time': epoch_ms(run_time),
            'uid': finding_uid,
            'first_seen_time': epoch_ms(created_date)
        },
        'metadata': {
            'version': '1.8.0',
            'product': {'uid': 'ecr-audit', 'name': 'ECR audit', 'version': program_version},
            'profiles': ['cloud', 'datetime'],
            'logged_time': epoch_ms(run_time),
            'tenant_uid': organization_id,
            'uid': export_uid(['record', finding_uid, compliance_commit])
        },
        'unmapped': {
            'observed': observed,
            'undetermined_reason': undetermined_reason(status, condition_index),
            'age_days': date_diff('day', incompliant_start_date, coalesce(incompliant_end_date, snapshot_date)),
            'started_known': started_known,
            'waiver_id': waiver_id,
            'ticket': ticket,
            'expires': expires
        },
        'evidences': [json_merge_patch('{}', {
            'data': {
                'collected_at': strftime(collected_at, '%Y-%m-%dT%H:%M:%S.%gZ'),
                'observed': observed,
                'inventory_commit': inventory_commit,
                -- Policies with other facets rest on other values, which the message has.
                'image_tag_mutability_raw': CASE
                    WHEN list_filter(facets, lambda facet: facet <> 'image_tags') = [] THEN image_tag_mutability_raw
                END
            }
        }::JSON)],
        'remediation': CASE WHEN remediation_message IS NOT NULL OR remediation_command IS NOT NULL
            THEN {'desc': concat_ws(E'\n', remediation_message, remediation_command)} END
    }::JSON), 2)) AS line
FROM described
