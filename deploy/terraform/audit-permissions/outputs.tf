output "policy" {
  description = "The statements, as JSON."
  value       = data.aws_iam_policy_document.list_repositories.json
}

output "parameters" {
  description = "Parameters of ../../cloudformation/audit-role.yaml."

  value = {
    ReadTags       = contains(var.facets, "tags")
    ReadScanning   = contains(var.facets, "scanning")
    ReadKeys       = contains(var.facets, "keys")
    ReadRegistries = contains(var.facets, "registries")
    ReadLifecycle  = contains(var.facets, "lifecycle")
    ReadPolicies   = contains(var.facets, "policies")
    ReadImageTags  = var.read_image_tags
  }
}
