# The role that the audit itself runs as, in the hub account: what ../../cloudformation/hub-role.yaml makes. See
# docs/deploy.md.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id

  trail    = join("/", compact([var.trail_bucket, var.trail_prefix]))
  evidence = join("/", compact([var.evidence_bucket, var.evidence_prefix]))

  trusts_ec2   = startswith(var.trusted_service, "ec2.")
  trusts_tasks = var.trusted_service == "ecs-tasks.amazonaws.com"
  trusts_pods  = var.trusted_service == "pods.eks.amazonaws.com"
}

data "aws_iam_policy_document" "trust" {
  statement {
    effect  = "Allow"
    actions = local.trusts_pods ? ["sts:AssumeRole", "sts:TagSession"] : ["sts:AssumeRole"]

    principals {
      type        = var.trusted_service == "" ? "AWS" : "Service"
      identifiers = [var.trusted_service == "" ? var.trusted_arn : var.trusted_service]
    }

    # ECS and EKS Pod Identity name the caller: only tasks of this account, and only these pods. EC2 does not.
    dynamic "condition" {
      for_each = local.trusts_tasks ? { "aws:SourceAccount" = local.account_id } : local.trusts_pods ? {
        "aws:RequestTag/kubernetes-namespace"       = var.pod_namespace
        "aws:RequestTag/kubernetes-service-account" = var.pod_service_account
      } : {}

      content {
        test     = "StringEquals"
        variable = condition.key
        values   = [condition.value]
      }
    }
  }
}

# The hub's own account is audited with this role, as the others are with theirs.
module "audit_permissions" {
  source          = "../audit-permissions"
  facets          = var.facets
  read_image_tags = var.read_image_tags
}

data "aws_iam_policy_document" "audit" {
  source_policy_documents = [module.audit_permissions.policy]

  statement {
    sid    = "ReadTheOrganization"
    effect = "Allow"
    actions = [
      "organizations:DescribeOrganization",
      "organizations:ListAccounts",
      "organizations:ListAccountsForParent",
      "organizations:ListOrganizationalUnitsForParent",
      "organizations:ListRoots",
    ]
    resources = ["*"]
  }

  statement {
    sid       = "EnterTheAccounts"
    effect    = "Allow"
    actions   = ["sts:AssumeRole"]
    resources = ["arn:${local.partition}:iam::*:role${var.audit_role_path}${var.audit_role_name}"]

    # A role of that name anywhere else is not ours.
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceOrgID"
      values   = ["$${aws:PrincipalOrgID}"]
    }
  }
}

data "aws_iam_policy_document" "pods" {
  # The tags by which EKS identifies the pod go with every AssumeRole.
  statement {
    sid       = "TakeTheTagsAlong"
    effect    = "Allow"
    actions   = ["sts:TagSession"]
    resources = ["arn:${local.partition}:iam::*:role${var.audit_role_path}${var.audit_role_name}"]
  }
}

data "aws_iam_policy_document" "remediation" {
  statement {
    sid       = "EnterTheAccountsToRemediate"
    effect    = "Allow"
    actions   = ["sts:AssumeRole", "sts:TagSession"]
    resources = ["arn:${local.partition}:iam::*:role${var.remediation_role_path}${var.remediation_role_name}"]

    # A role of that name anywhere else is not ours.
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceOrgID"
      values   = ["$${aws:PrincipalOrgID}"]
    }
  }
}

data "aws_iam_policy_document" "security_hub" {
  statement {
    sid       = "EnterTheAccountsToImport"
    effect    = "Allow"
    actions   = ["sts:AssumeRole", "sts:TagSession"]
    resources = ["arn:${local.partition}:iam::*:role${var.security_hub_role_path}${var.security_hub_role_name}"]

    # A role of that name anywhere else is not ours.
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceOrgID"
      values   = ["$${aws:PrincipalOrgID}"]
    }
  }
}

data "aws_iam_policy_document" "lake" {
  statement {
    sid       = "ListTheLake"
    effect    = "Allow"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${local.partition}:s3:::${var.lake_bucket}"]
  }

  statement {
    sid     = "ReadAndWriteTheLake"
    effect  = "Allow"
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = [
      "arn:${local.partition}:s3:::${var.lake_bucket}/${var.lake_prefix}/*",
      "arn:${local.partition}:s3:::${var.lake_bucket}/${var.publish_prefix}/*",
      "arn:${local.partition}:s3:::${var.lake_bucket}/${var.logs_prefix}/*",
    ]
  }

  # The audit itself must not be able to waive its findings.
  statement {
    sid       = "ReadTheWaivers"
    effect    = "Allow"
    actions   = ["s3:GetObject"]
    resources = ["arn:${local.partition}:s3:::${var.lake_bucket}/${var.waivers_prefix}/*"]
  }
}

data "aws_iam_policy_document" "lake_key" {
  statement {
    sid       = "EncryptAndDecryptTheLake"
    effect    = "Allow"
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = [var.lake_key_arn]
  }
}

data "aws_iam_policy_document" "trail" {
  statement {
    sid       = "ListTheTrail"
    effect    = "Allow"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${local.partition}:s3:::${var.trail_bucket}"]
  }

  statement {
    sid       = "ReadTheTrail"
    effect    = "Allow"
    actions   = ["s3:GetObject"]
    resources = ["arn:${local.partition}:s3:::${local.trail}/AWSLogs/*"]
  }
}

data "aws_iam_policy_document" "trail_key" {
  statement {
    sid       = "DecryptTheTrail"
    effect    = "Allow"
    actions   = ["kms:Decrypt"]
    resources = [var.trail_key_arn]
  }
}

data "aws_iam_policy_document" "evidence" {
  statement {
    sid       = "ListTheEvidence"
    effect    = "Allow"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${local.partition}:s3:::${var.evidence_bucket}"]
  }

  # Nothing of it may be deleted.
  statement {
    sid       = "ReadAndAddEvidence"
    effect    = "Allow"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
    resources = ["arn:${local.partition}:s3:::${local.evidence}/*"]
  }
}

data "aws_iam_policy_document" "evidence_key" {
  statement {
    sid       = "SignEvidence"
    effect    = "Allow"
    actions   = ["kms:Sign", "kms:GetPublicKey"]
    resources = [var.evidence_key_arn]
  }
}

data "aws_iam_policy_document" "alerts" {
  statement {
    sid       = "SendAlerts"
    effect    = "Allow"
    actions   = ["sns:Publish"]
    resources = [var.alert_topic_arn]
  }
}

resource "aws_iam_role" "hub" {
  name               = var.role_name
  description        = "The ECR audit runs as this role"
  assume_role_policy = data.aws_iam_policy_document.trust.json

  lifecycle {
    precondition {
      condition     = (var.trusted_service == "") != (var.trusted_arn == "")
      error_message = "Give either trusted_service or trusted_arn."
    }
  }
}

resource "aws_iam_role_policy" "audit" {
  name   = "audit"
  role   = aws_iam_role.hub.id
  policy = data.aws_iam_policy_document.audit.json
}

resource "aws_iam_role_policy" "pods" {
  count = local.trusts_pods ? 1 : 0

  name   = "pods"
  role   = aws_iam_role.hub.id
  policy = data.aws_iam_policy_document.pods.json
}

resource "aws_iam_role_policy" "remediation" {
  count = var.remediation_role_name == "" ? 0 : 1

  name   = "remediation"
  role   = aws_iam_role.hub.id
  policy = data.aws_iam_policy_document.remediation.json
}

resource "aws_iam_role_policy" "security_hub" {
  count = var.security_hub_role_name == "" ? 0 : 1

  name   = "security-hub"
  role   = aws_iam_role.hub.id
  policy = data.aws_iam_policy_document.security_hub.json
}

resource "aws_iam_role_policy" "lake" {
  count = var.lake_bucket == "" ? 0 : 1

  name   = "lake"
  role   = aws_iam_role.hub.id
  policy = data.aws_iam_policy_document.lake.json
}

resource "aws_iam_role_policy" "lake_key" {
  count = var.lake_key_arn == "" ? 0 : 1

  name   = "lake-key"
  role   = aws_iam_role.hub.id
  policy = data.aws_iam_policy_document.lake_key.json
}

resource "aws_iam_role_policy" "trail" {
  count = var.trail_bucket == "" ? 0 : 1

  name   = "trail"
  role   = aws_iam_role.hub.id
  policy = data.aws_iam_policy_document.trail.json
}

resource "aws_iam_role_policy" "trail_key" {
  count = var.trail_key_arn == "" ? 0 : 1

  name   = "trail-key"
  role   = aws_iam_role.hub.id
  policy = data.aws_iam_policy_document.trail_key.json
}

resource "aws_iam_role_policy" "evidence" {
  count = var.evidence_bucket == "" ? 0 : 1

  name   = "evidence"
  role   = aws_iam_role.hub.id
  policy = data.aws_iam_policy_document.evidence.json
}

resource "aws_iam_role_policy" "evidence_key" {
  count = var.evidence_key_arn == "" ? 0 : 1

  name   = "evidence-key"
  role   = aws_iam_role.hub.id
  policy = data.aws_iam_policy_document.evidence_key.json
}

resource "aws_iam_role_policy" "alerts" {
  count = var.alert_topic_arn == "" ? 0 : 1

  name   = "alerts"
  role   = aws_iam_role.hub.id
  policy = data.aws_iam_policy_document.alerts.json
}

resource "aws_iam_instance_profile" "hub" {
  count = local.trusts_ec2 ? 1 : 0

  name = var.role_name
  role = aws_iam_role.hub.name
}
