# The role that the audit assumes in one account to import the account's findings into its own Security Hub: what
# ../../cloudformation/security-hub-role.yaml makes. See docs/exports.md.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id
}

module "account_trust" {
  source          = "../account-trust"
  hub_role_arn    = var.hub_role_arn
  external_id     = var.external_id
  organization_id = var.organization_id
}

data "aws_iam_policy_document" "import_findings" {
  statement {
    sid       = "ImportFindings"
    effect    = "Allow"
    actions   = ["securityhub:BatchImportFindings"]
    resources = ["arn:${local.partition}:securityhub:*:${local.account_id}:product/${local.account_id}/default"]
  }
}

resource "aws_iam_role" "security_hub" {
  name        = var.role_name
  path        = var.role_path
  description = "Lets the ECR audit import findings into Security Hub"
  # Role chaining allows no longer session anyway.
  max_session_duration = 3600
  assume_role_policy   = module.account_trust.policy
}

resource "aws_iam_role_policy" "import_findings" {
  name   = "import-findings"
  role   = aws_iam_role.security_hub.id
  policy = data.aws_iam_policy_document.import_findings.json
}
