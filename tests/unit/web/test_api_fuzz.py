"""The JSON API, asked what its own OpenAPI document allows and what it does not: it answers, and never breaks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, assume, given, settings

from ecr_audit.web.urls import PREFIX

pytestmark = pytest.mark.slow

# That an answer is one that the document promises: its status, its type, each of its fields.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "not allowed"])
def test_it_answers_as_documented(client: TestClient, published: Callable[..., None], allowed: bool) -> None:
    # Here, since every process that collects tests would load them, for some seconds.
    import schemathesis
    from schemathesis import Case, GenerationMode
    from schemathesis.checks import load_all_checks
    from schemathesis.core.result import Ok

    load_all_checks()
    checks: list[Any] = [schemathesis.checks.CHECKS.get_one(name) for name in CHECKS]
    mode = GenerationMode.POSITIVE if allowed else GenerationMode.NEGATIVE
    published(repositories=[{}, {"repository_name": "closed", "image_tag_mutability": "IMMUTABLE"}])
    schema = schemathesis.openapi.from_asgi(f"{PREFIX}/api/v1/openapi.json", client.app)
    results = list(schema.get_all_operations())
    operations = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(operations) == len(results), "the document has faults"
    # Without a query nothing can be asked that is not allowed.
    operations = [each for each in operations if allowed or list(each.query)]
    assert len(operations) > 10
    for operation in operations:

        @settings(
            max_examples=12,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def ask(case: Case[Any]) -> None:
            # No mount matches a line break: who mounts the pages answers.
            assume(not any("\n" in str(value) for value in (case.path_parameters or {}).values()))
            case.validate_response(case.call(), checks=checks)

        ask()
