variable "hub_role_arn" {
  type        = string
  description = "ARN of the hub role, the only one that may assume this role. It has to exist already."
}

variable "external_id" {
  type        = string
  description = "External ID that the hub has to send (ECR_AUDIT_EXTERNAL_ID)."
  sensitive   = true
}

variable "organization_id" {
  type        = string
  description = "Id of the organization that the hub has to be in. If empty, the hub's ARN is enough."
  default     = null
}

variable "role_name" {
  type        = string
  description = "Name of the role, the same in every account (ECR_AUDIT_REMEDIATION_ROLE_NAME)."
  default     = "ecr-audit-remediation"

  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@-]{1,64}$", var.role_name))
    error_message = "Give up to 64 letters, digits or _+=,.@- characters."
  }
}

variable "role_path" {
  type        = string
  description = "Path of the role, the same in every account. ECR_AUDIT_REMEDIATION_ROLE_NAME is then the path and the name, such as /security/ecr-audit-remediation."
  default     = "/"

  validation {
    condition     = can(regex("^/([A-Za-z0-9_+=,.@-]+/)*$", var.role_path)) && length(var.role_path) <= 512
    error_message = "Give / or a path between slashes, such as /security/, of letters, digits or _+=,.@- characters."
  }
}
