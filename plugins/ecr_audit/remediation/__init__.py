"""Changes the tag mutability of repositories, by a plan that a person has approved. docs/remediation.md."""
