output "policy" {
  description = "The trust policy of the role, as JSON."
  value       = data.aws_iam_policy_document.trust.json
}
