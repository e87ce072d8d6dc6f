output "role_arn" {
  description = "Value for hub_role_arn of the audit role."
  value       = aws_iam_role.hub.arn
}
