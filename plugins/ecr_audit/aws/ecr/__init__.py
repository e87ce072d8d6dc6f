"""The calls to ECR, and to the services that describe its repositories."""
