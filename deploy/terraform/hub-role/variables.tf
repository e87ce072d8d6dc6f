variable "trusted_service" {
  type        = string
  description = "The AWS service whose workloads run the audit. Empty when trusted_arn is given."
  default     = ""

  validation {
    condition = contains(
      ["", "ec2.amazonaws.com", "ec2.amazonaws.com.cn", "ecs-tasks.amazonaws.com", "pods.eks.amazonaws.com"],
      var.trusted_service
    )
    error_message = "Give ec2.amazonaws.com (in China ec2.amazonaws.com.cn), ecs-tasks.amazonaws.com or pods.eks.amazonaws.com."
  }
}

variable "trusted_arn" {
  type        = string
  description = "ARN of the role or user that runs the audit and may assume this role. Empty when trusted_service is given."
  default     = ""

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[A-Za-z0-9_+=,.@/-]+)?$", var.trusted_arn))
    error_message = "Give the ARN of a role or a user, or nothing."
  }
}

variable "role_name" {
  type        = string
  description = "Name of this role."
  default     = "ecr-audit-hub"

  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@-]{1,64}$", var.role_name))
    error_message = "Give up to 64 letters, digits or _+=,.@- characters."
  }
}

variable "audit_role_name" {
  type        = string
  description = "Name of the audit role in every account (ECR_AUDIT_ROLE_NAME)."
  default     = "ecr-audit"

  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@-]{1,64}$", var.audit_role_name))
    error_message = "Give up to 64 letters, digits or _+=,.@- characters."
  }
}

variable "audit_role_path" {
  type        = string
  description = "Path of the audit role in every account, which is role_path there."
  default     = "/"

  validation {
    condition     = can(regex("^/([A-Za-z0-9_+=,.@-]+/)*$", var.audit_role_path)) && length(var.audit_role_path) <= 512
    error_message = "Give / or a path between slashes, such as /security/, of letters, digits or _+=,.@- characters."
  }
}

variable "remediation_role_name" {
  type        = string
  description = "Name of the remediation role in the accounts (ECR_AUDIT_REMEDIATION_ROLE_NAME). Empty, it cannot be assumed."
  default     = ""

  validation {
    condition     = can(regex("^([A-Za-z0-9_+=,.@-]{1,64})?$", var.remediation_role_name))
    error_message = "Give up to 64 letters, digits or _+=,.@- characters, or nothing."
  }
}

variable "remediation_role_path" {
  type        = string
  description = "Path of the remediation role in the accounts, which is role_path there."
  default     = "/"

  validation {
    condition     = can(regex("^/([A-Za-z0-9_+=,.@-]+/)*$", var.remediation_role_path)) && length(var.remediation_role_path) <= 512
    error_message = "Give / or a path between slashes, such as /security/, of letters, digits or _+=,.@- characters."
  }
}

variable "security_hub_role_name" {
  type        = string
  description = "Name of the Security Hub role in the accounts (ECR_AUDIT_SECURITY_HUB_ROLE_NAME). Empty, it cannot be assumed."
  default     = ""

  validation {
    condition     = can(regex("^([A-Za-z0-9_+=,.@-]{1,64})?$", var.security_hub_role_name))
    error_message = "Give up to 64 letters, digits or _+=,.@- characters, or nothing."
  }
}

variable "security_hub_role_path" {
  type        = string
  description = "Path of the Security Hub role in the accounts, which is role_path there."
  default     = "/"

  validation {
    condition     = can(regex("^/([A-Za-z0-9_+=,.@-]+/)*$", var.security_hub_role_path)) && length(var.security_hub_role_path) <= 512
    error_message = "Give / or a path between slashes, such as /security/, of letters, digits or _+=,.@- characters."
  }
}

variable "lake_bucket" {
  type        = string
  description = "Name of the S3 bucket of the lake, when it is on S3 (ECR_AUDIT_LAKE)."
  default     = ""

  validation {
    condition     = can(regex("^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$", var.lake_bucket))
    error_message = "Give the name of a bucket, or nothing."
  }
}

variable "lake_prefix" {
  type        = string
  description = "Where the lake is in that bucket (ECR_AUDIT_LAKE, after s3://bucket/)."
  default     = "lake"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*$", var.lake_prefix))
    error_message = "Give a path without slashes at its ends, of letters, digits or _.=- characters."
  }
}

variable "publish_prefix" {
  type        = string
  description = "Where publications are in that bucket (ECR_AUDIT_PUBLISH, after s3://bucket/)."
  default     = "publish"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*$", var.publish_prefix))
    error_message = "Give a path without slashes at its ends, of letters, digits or _.=- characters."
  }
}

variable "logs_prefix" {
  type        = string
  description = "Where Airflow's task logs are in that bucket, when they are on S3 (remote_base_log_folder)."
  default     = "logs"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*$", var.logs_prefix))
    error_message = "Give a path without slashes at its ends, of letters, digits or _.=- characters."
  }
}

variable "waivers_prefix" {
  type        = string
  description = "Where the file of waivers is in that bucket (ECR_AUDIT_WAIVERS). The role can read it and not write it."
  default     = "waivers"

  validation {
    condition     = can(regex("^[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*$", var.waivers_prefix))
    error_message = "Give a path without slashes at its ends, of letters, digits or _.=- characters."
  }
}

variable "lake_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts that bucket, when it is not S3's own."
  default     = ""

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+)?$", var.lake_key_arn))
    error_message = "Give the ARN of a KMS key, or nothing."
  }
}

variable "alert_topic_arn" {
  type        = string
  description = "ARN of the SNS topic that alerts go to (ECR_AUDIT_ALERT_SNS_TOPIC_ARN)."
  default     = ""

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256})?$", var.alert_topic_arn))
    error_message = "Give the ARN of a standard topic, or nothing."
  }
}

variable "pod_namespace" {
  type        = string
  description = "With pods.eks.amazonaws.com, the namespace of the pods that may have this role."
  default     = "ecr-audit"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.pod_namespace))
    error_message = "Give the name of a namespace."
  }
}

variable "pod_service_account" {
  type        = string
  description = "With pods.eks.amazonaws.com, the service account of the pods that may have this role."
  default     = "ecr-audit-tasks"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", var.pod_service_account))
    error_message = "Give the name of a service account."
  }
}

variable "facets" {
  type        = list(string)
  description = "What the audit reads beyond the list of repositories: the words of ECR_AUDIT_COLLECT. Null: its default."
  default     = null
}

variable "read_image_tags" {
  type        = bool
  description = "Whether the audit may list images, to find tags that were overwritten; needed with ECR_AUDIT_IMAGE_TAGS."
  default     = null
}

variable "trail_bucket" {
  type        = string
  description = "Name of the S3 bucket of the organization's trail (ECR_AUDIT_CLOUDTRAIL), to find who overwrote image tags."
  default     = ""

  validation {
    condition     = can(regex("^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$", var.trail_bucket))
    error_message = "Give the name of a bucket, or nothing."
  }
}

variable "trail_prefix" {
  type        = string
  description = "The trail's prefix in that bucket, which AWSLogs follows; empty when it has none."
  default     = ""

  validation {
    condition     = can(regex("^([A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*)?$", var.trail_prefix))
    error_message = "Give a path without slashes at its ends, of letters, digits or _.=- characters, or nothing."
  }
}

variable "trail_key_arn" {
  type        = string
  description = "ARN of the KMS key that encrypts the trail's log files, when it is not S3's own."
  default     = ""

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+)?$", var.trail_key_arn))
    error_message = "Give the ARN of a KMS key, or nothing."
  }
}

variable "evidence_bucket" {
  type        = string
  description = "Name of the S3 bucket of the evidence log (ECR_AUDIT_EVIDENCE), best one with Object Lock."
  default     = ""

  validation {
    condition     = can(regex("^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$", var.evidence_bucket))
    error_message = "Give the name of a bucket, or nothing."
  }
}

variable "evidence_prefix" {
  type        = string
  description = "The log's prefix in that bucket; empty when it has none."
  default     = ""

  validation {
    condition     = can(regex("^([A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*)?$", var.evidence_prefix))
    error_message = "Give a path without slashes at its ends, of letters, digits or _.=- characters, or nothing."
  }
}

variable "evidence_key_arn" {
  type        = string
  description = "ARN of the KMS key that signs evidence (ECR_AUDIT_EVIDENCE_KEY), of the type ECC_NIST_P256."
  default     = ""

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+)?$", var.evidence_key_arn))
    error_message = "Give the ARN of a KMS key, or nothing."
  }
}
