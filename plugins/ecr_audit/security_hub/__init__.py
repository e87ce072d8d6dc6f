"""Imports findings into the Security Hub of the account that they belong to."""
