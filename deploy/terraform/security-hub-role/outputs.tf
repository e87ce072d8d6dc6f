output "role_arn" {
  description = "ARN of the role in this account."
  value       = aws_iam_role.security_hub.arn
}
