# The role that the audit assumes in one account to change the tag mutability of its repositories: what
# ../../cloudformation/remediation-role.yaml makes. See docs/remediation.md.

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

data "aws_iam_policy_document" "tag_mutability" {
  statement {
    sid       = "ReadAndWriteTagMutability"
    effect    = "Allow"
    actions   = ["ecr:DescribeRepositories", "ecr:PutImageTagMutability"]
    resources = ["arn:${local.partition}:ecr:*:${local.account_id}:repository/*"]
  }
}

resource "aws_iam_role" "remediation" {
  name        = var.role_name
  path        = var.role_path
  description = "Lets the ECR audit change the tag mutability of repositories, by approved plans"
  # Role chaining allows no longer session anyway.
  max_session_duration = 3600
  assume_role_policy   = module.account_trust.policy
}

resource "aws_iam_role_policy" "tag_mutability" {
  name   = "tag-mutability"
  role   = aws_iam_role.remediation.id
  policy = data.aws_iam_policy_document.tag_mutability.json
}
