variable "trusted_service" {
  type        = string
  description = "The AWS service whose workloads have this role. Empty when trusted_arn is given."
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
  description = "ARN of the role or user that may assume this role. Empty when trusted_service is given."
  default     = ""

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[A-Za-z0-9_+=,.@/-]+)?$", var.trusted_arn))
    error_message = "Give the ARN of a role or a user, or nothing."
  }
}

variable "role_name" {
  type        = string
  description = "Name of this role, ecr-audit-pages or ecr-audit-callbacks; in EKS also the service account of its pods."
  default     = "ecr-audit-pages"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$", var.role_name))
    error_message = "Give up to 64 lower-case letters, digits, dots or dashes."
  }
}

variable "lake_bucket" {
  type        = string
  description = "Name of the S3 bucket of the publications (ECR_AUDIT_PUBLISH)."

  validation {
    condition     = can(regex("^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$", var.lake_bucket)) && var.lake_bucket != ""
    error_message = "Give the name of a bucket."
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
  description = "Where Airflow's task logs are in that bucket (remote_base_log_folder), for the pages. Empty, they are not."
  default     = ""

  validation {
    condition     = can(regex("^([A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*)?$", var.logs_prefix))
    error_message = "Give a path without slashes at its ends, of letters, digits or _.=- characters, or nothing."
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
  description = "ARN of the SNS topic that alerts go to (ECR_AUDIT_ALERT_SNS_TOPIC_ARN), for the role of the callbacks."
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
