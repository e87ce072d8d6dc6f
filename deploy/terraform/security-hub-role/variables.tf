variable "hub_role_arn" {
  type        = string
  description = "ARN of the hub role, the only one that may assume this role. It has to exist already."

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$", var.hub_role_arn))
    error_message = "Give the ARN of a role, such as arn:aws:iam::111111111111:role/ecr-audit-hub."
  }
}

variable "external_id" {
  type        = string
  description = "External ID that the hub has to send (ECR_AUDIT_EXTERNAL_ID)."
  sensitive   = true

  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@:/-]{2,1224}$", var.external_id))
    error_message = "Give 2 to 1,224 letters, digits or +=,.@:/-_ characters."
  }
}

variable "organization_id" {
  type        = string
  description = "Id of the organization that the hub has to be in. If empty, the hub's ARN is enough."
  default     = ""

  validation {
    condition     = can(regex("^(o-[a-z0-9]{10,32})?$", var.organization_id))
    error_message = "Give the id of an organization, such as o-a1b2c3d4e5, or nothing."
  }
}

variable "role_name" {
  type        = string
  description = "Name of the role, the same in every account (ECR_AUDIT_SECURITY_HUB_ROLE_NAME)."
  default     = "ecr-audit-security-hub"

  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@-]{1,64}$", var.role_name))
    error_message = "Give up to 64 letters, digits or _+=,.@- characters."
  }
}

variable "role_path" {
  type        = string
  description = "Path of the role, the same in every account. ECR_AUDIT_SECURITY_HUB_ROLE_NAME is then the path and the name, such as /security/ecr-audit-security-hub."
  default     = "/"

  validation {
    condition     = can(regex("^/([A-Za-z0-9_+=,.@-]+/)*$", var.role_path)) && length(var.role_path) <= 512
    error_message = "Give / or a path between slashes, such as /security/, of letters, digits or _+=,.@- characters."
  }
}
