variable "hub_role_arn" {
  type        = string
  description = "ARN of the hub role, the only one that may assume the Security Hub role. It has to exist already."

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

variable "organizational_unit_ids" {
  type        = list(string)
  description = "Where the role is to be: the root (r-…) for the whole organization, or units (ou-…) with all below them."

  validation {
    condition = length(var.organizational_unit_ids) > 0 && alltrue([
      for id in var.organizational_unit_ids : can(regex("^(ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}|r-[a-z0-9]{4,32})$", id))
    ])
    error_message = "Give at least one id of the root (r-…) or of an organizational unit (ou-…)."
  }
}

variable "region" {
  type        = string
  description = "The region in which CloudFormation keeps the stacks."
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}$", var.region))
    error_message = "Give the name of a region, such as us-east-1 or us-gov-west-1."
  }
}

variable "call_as" {
  type        = string
  description = "SELF in the management account, DELEGATED_ADMIN in a delegated administrator of CloudFormation StackSets."
  default     = "SELF"

  validation {
    condition     = contains(["SELF", "DELEGATED_ADMIN"], var.call_as)
    error_message = "Give SELF or DELEGATED_ADMIN."
  }
}
