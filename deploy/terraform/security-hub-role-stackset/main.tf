# The Security Hub role in the member accounts below some units: a service-managed StackSet of
# ../../cloudformation/security-hub-role.yaml. Apply it in the management account, or in a delegated administrator of
# CloudFormation StackSets with call_as = "DELEGATED_ADMIN". See docs/exports.md.

resource "aws_cloudformation_stack_set" "security_hub_role" {
  name             = "ecr-audit-security-hub-role"
  description      = "The role by which the ECR audit imports findings"
  permission_model = "SERVICE_MANAGED"
  call_as          = var.call_as
  capabilities     = ["CAPABILITY_NAMED_IAM"]
  template_body    = file("${path.module}/../../cloudformation/security-hub-role.yaml")

  parameters = {
    HubRoleArn     = var.hub_role_arn
    ExternalId     = var.external_id
    OrganizationId = var.organization_id
    RoleName       = var.role_name
    RolePath       = var.role_path
  }

  auto_deployment {
    enabled                          = true
    retain_stacks_on_account_removal = false
  }

  operation_preferences {
    failure_tolerance_percentage = 100
    max_concurrent_percentage    = 100
    region_concurrency_type      = "PARALLEL"
  }

  # CloudFormation sets it for service-managed StackSets; Terraform must not change it.
  lifecycle {
    ignore_changes = [administration_role_arn]
  }
}

# One region: a role is in all of them.
resource "aws_cloudformation_stack_instances" "organization" {
  stack_set_name = aws_cloudformation_stack_set.security_hub_role.name
  regions        = [var.region]
  call_as        = var.call_as

  deployment_targets {
    organizational_unit_ids = var.organizational_unit_ids
  }
}
