output "stack_set_id" {
  description = "Id of the StackSet."
  value       = aws_cloudformation_stack_set.security_hub_role.stack_set_id
}
