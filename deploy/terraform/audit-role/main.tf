# The role that the audit assumes in one account: what ../../cloudformation/audit-role.yaml makes, for the management
# account, which no StackSet reaches, and for where there are no service-managed StackSets (China). See docs/deploy.md.

module "audit_permissions" {
  source          = "../audit-permissions"
  facets          = var.facets
  read_image_tags = var.read_image_tags
}

module "account_trust" {
  source          = "../account-trust"
  hub_role_arn    = var.hub_role_arn
  external_id     = var.external_id
  organization_id = var.organization_id
}

resource "aws_iam_role" "audit" {
  name        = var.role_name
  path        = var.role_path
  description = "Lets the ECR audit read the settings of repositories"
  # Role chaining allows no longer session anyway.
  max_session_duration = 3600
  assume_role_policy   = module.account_trust.policy
}

resource "aws_iam_role_policy" "list_repositories" {
  name   = "list-repositories"
  role   = aws_iam_role.audit.id
  policy = module.audit_permissions.policy
}
