-- publication: the one row with the organization and night of this file, and its inputs.
-- from: lake.scan_targets, lake.policy_run.
-- coverage_percent is the organization's (the macro of that name).
-- missing_accounts and missing_regions are in the settings but not in AWS, so the file has no data on them;
-- left_out_accounts and left_out_regions are in AWS but not in the settings, so they were not read.
-- image_tags_date is the night whose image tags the verdicts are based on, and the newest of tag_moves; NULL without one.
-- evidence_… are about the log that nights are sealed into (plugins/ecr_audit/evidence/); NULL without ECR_AUDIT_EVIDENCE.
-- previous_image_tags_date is that of the evaluated night before: tags that moved after it are new in this file.
SELECT
    $organization_id::VARCHAR AS organization_id,
    $snapshot_date AS snapshot_date,
    $published_at AS published_at,
    $inventory_commit AS inventory_commit,
    $inventory_run_id::VARCHAR AS inventory_run_id,
    $compliance_commit AS compliance_commit,
    $program_version AS program_version,
    $lake_schema_version AS lake_schema_version,
    version() AS duckdb_version,
    coverage_percent(outcome) AS coverage_percent,
    $missing_accounts::VARCHAR[] AS missing_accounts,
    $missing_regions::VARCHAR[] AS missing_regions,
    (SELECT map_from_entries(list((policy_id, policy_hash) ORDER BY policy_id)) FROM lake.policy_run) AS policy_hashes,
    $left_out_accounts::VARCHAR[] AS left_out_accounts,
    $left_out_regions::VARCHAR[] AS left_out_regions,
    $image_tags_date::DATE AS image_tags_date,
    $previous_image_tags_date::DATE AS previous_image_tags_date,
    $hub_account_id::VARCHAR AS hub_account_id,
    $evidence_head::VARCHAR AS evidence_head,
    $evidence_error::VARCHAR AS evidence_error,
    $evidence_verified_at::TIMESTAMPTZ AS evidence_verified_at,
    $evidence_verification::VARCHAR AS evidence_verification
FROM lake.scan_targets
