# The modules that use this one pass null where they are given nothing: the defaults stand here alone.

variable "facets" {
  type        = list(string)
  description = "What the audit reads beyond the list of repositories: the words of ECR_AUDIT_COLLECT."
  default     = ["tags", "scanning", "registries"]
  nullable    = false

  validation {
    condition     = alltrue([for facet in var.facets : contains(["tags", "scanning", "keys", "registries", "lifecycle", "policies"], facet)])
    error_message = "Give a list out of tags, scanning, keys, registries, lifecycle, policies."
  }
}

variable "read_image_tags" {
  type        = bool
  description = "Whether the audit may list images, to find tags that were overwritten; needed with ECR_AUDIT_IMAGE_TAGS."
  default     = false
  nullable    = false
}
