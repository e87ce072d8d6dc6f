# The role that the audit assumes in one account: what ../../cloudformation/audit-role.yaml makes, for the management
# account, which no StackSet reaches, and for where there are no service-managed StackSets (China). See docs/deploy.md.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  partition    = data.aws_partition.current.partition
  account_id   = data.aws_caller_identity.current.account_id
  repositories = "arn:${local.partition}:ecr:*:${local.account_id}:repository/*"

  # Statements by facet, which ECR_AUDIT_COLLECT names.
  facets = {
    tags = {
      sid       = "ReadTags"
      actions   = ["tag:GetResources"]
      resources = ["*"]
    }
    scanning = {
      sid       = "ReadScanning"
      actions   = ["ecr:BatchGetRepositoryScanningConfiguration"]
      resources = [local.repositories]
    }
    keys = {
      sid       = "ReadKeys"
      actions   = ["kms:DescribeKey"]
      resources = ["arn:${local.partition}:kms:*:${local.account_id}:key/*"]
    }
    registries = {
      sid       = "ReadRegistries"
      actions   = ["ecr:DescribeRepositoryCreationTemplates", "ecr:DescribePullThroughCacheRules"]
      resources = ["*"]
    }
    lifecycle = {
      sid       = "ReadLifecycle"
      actions   = ["ecr:GetLifecyclePolicy"]
      resources = [local.repositories]
    }
    policies = {
      sid       = "ReadPolicies"
      actions   = ["ecr:GetRepositoryPolicy"]
      resources = [local.repositories]
    }
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    effect  = "Allow"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = [var.hub_role_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = [var.external_id]
    }

    # A hub account that has left the organization is no longer let in.
    dynamic "condition" {
      for_each = var.organization_id == "" ? [] : [var.organization_id]

      content {
        test     = "StringEquals"
        variable = "aws:PrincipalOrgID"
        values   = [condition.value]
      }
    }
  }

  # EKS Pod Identity tags the hub's session, and its tags go with it. Nothing here depends on them.
  statement {
    effect  = "Allow"
    actions = ["sts:TagSession"]

    principals {
      type        = "AWS"
      identifiers = [var.hub_role_arn]
    }
  }
}

data "aws_iam_policy_document" "list_repositories" {
  statement {
    sid       = "ListRepositories"
    effect    = "Allow"
    actions   = ["ecr:DescribeRepositories"]
    resources = [local.repositories]
  }

  # It knows no resources. Without it, regions that the account has not enabled are tried one by one.
  statement {
    sid       = "ReadRegions"
    effect    = "Allow"
    actions   = ["ec2:DescribeRegions"]
    resources = ["*"]
  }

  dynamic "statement" {
    for_each = [for facet, statement in local.facets : statement if contains(var.facets, facet)]

    content {
      sid       = statement.value.sid
      effect    = "Allow"
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }

  dynamic "statement" {
    for_each = var.read_image_tags ? [1] : []

    content {
      sid       = "ReadImageTags"
      effect    = "Allow"
      actions   = ["ecr:ListImages"]
      resources = [local.repositories]
    }
  }
}

resource "aws_iam_role" "audit" {
  name        = var.role_name
  path        = var.role_path
  description = "Lets the ECR audit read the settings of repositories"
  # Role chaining allows no longer session anyway.
  max_session_duration = 3600
  assume_role_policy   = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "list_repositories" {
  name   = "list-repositories"
  role   = aws_iam_role.audit.id
  policy = data.aws_iam_policy_document.list_repositories.json
}
