output "role_arn" {
  description = "ARN of the role in this account."
  value       = aws_iam_role.remediation.arn
}
