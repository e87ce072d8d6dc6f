# The reads that the audit needs in one account, for the modules beside this one: the audit role's statements, which the hub
# has for its own account, and the parameters by which ../../cloudformation/audit-role.yaml makes the same.

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
