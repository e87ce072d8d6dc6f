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
  nullable    = false

  validation {
    condition     = can(regex("^(o-[a-z0-9]{10,32})?$", var.organization_id))
    error_message = "Give the id of an organization, such as o-a1b2c3d4e5, or nothing."
  }
}
