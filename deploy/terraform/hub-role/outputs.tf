output "role_arn" {
  description = "What hub_role_arn of the audit role has to be."
  value       = aws_iam_role.hub.arn
}
