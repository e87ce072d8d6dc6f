# A role that reads publications, for the pages or for the callbacks of DAGs: what
# ../../cloudformation/reader-role.yaml makes. See docs/deploy.md.

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {}

locals {
  partition  = data.aws_partition.current.partition
  account_id = data.aws_caller_identity.current.account_id

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

    # As in ../hub-role.
    dynamic "condition" {
      for_each = local.trusts_tasks ? { "aws:SourceAccount" = local.account_id } : local.trusts_pods ? {
        "aws:RequestTag/kubernetes-namespace"       = var.pod_namespace
        "aws:RequestTag/kubernetes-service-account" = var.role_name
      } : {}

      content {
        test     = "StringEquals"
        variable = condition.key
        values   = [condition.value]
      }
    }
  }
}

data "aws_iam_policy_document" "read" {
  # Names only. Without it S3 denies access to a missing object, instead of reporting it missing.
  statement {
    sid       = "ListTheBucket"
    effect    = "Allow"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${local.partition}:s3:::${var.lake_bucket}"]
  }

  statement {
    sid       = "ReadWhatIsPublished"
    effect    = "Allow"
    actions   = ["s3:GetObject"]
    resources = ["arn:${local.partition}:s3:::${var.lake_bucket}/${var.publish_prefix}/*"]
  }
}

data "aws_iam_policy_document" "logs" {
  statement {
    sid       = "ReadTheLogs"
    effect    = "Allow"
    actions   = ["s3:GetObject"]
    resources = ["arn:${local.partition}:s3:::${var.lake_bucket}/${var.logs_prefix}/*"]
  }
}

data "aws_iam_policy_document" "lake_key" {
  statement {
    sid       = "DecryptTheLake"
    effect    = "Allow"
    actions   = ["kms:Decrypt"]
    resources = [var.lake_key_arn]
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

resource "aws_iam_role" "reader" {
  name               = var.role_name
  description        = "Reads the publications of the ECR audit"
  assume_role_policy = data.aws_iam_policy_document.trust.json

  lifecycle {
    precondition {
      condition     = (var.trusted_service == "") != (var.trusted_arn == "")
      error_message = "Give either trusted_service or trusted_arn."
    }
  }
}

resource "aws_iam_role_policy" "read" {
  name   = "read"
  role   = aws_iam_role.reader.id
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_iam_role_policy" "logs" {
  count = var.logs_prefix == "" ? 0 : 1

  name   = "logs"
  role   = aws_iam_role.reader.id
  policy = data.aws_iam_policy_document.logs.json
}

resource "aws_iam_role_policy" "lake_key" {
  count = var.lake_key_arn == "" ? 0 : 1

  name   = "lake-key"
  role   = aws_iam_role.reader.id
  policy = data.aws_iam_policy_document.lake_key.json
}

resource "aws_iam_role_policy" "alerts" {
  count = var.alert_topic_arn == "" ? 0 : 1

  name   = "alerts"
  role   = aws_iam_role.reader.id
  policy = data.aws_iam_policy_document.alerts.json
}
