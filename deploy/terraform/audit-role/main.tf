# The role that the audit assumes in one account: what ../../cloudformation/audit-role.yaml makes, for the management
# account, which no StackSet reaches, and for where there are no service-managed StackSets (China). See docs/deploy.md.

module "audit_permissions" {
  source          = "../audit-permissions"
  facets          = var.facets
  read_image_tags = var.read_image_tags
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
  policy = module.audit_permissions.policy
}
