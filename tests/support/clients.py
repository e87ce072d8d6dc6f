"""Types of fixtures for boto3's clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Makes a client for a service, by default in us-east-1, as the hub or as an `account`.
MakeClient = Callable[..., Any]
# Makes a call that must fail; returns the code, message and HTTP status of its error.
ErrorOf = Callable[..., tuple[str, str, int]]
