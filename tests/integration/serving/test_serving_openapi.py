"""The servers answer as their OpenAPI description says, whatever is sent within it and a little outside."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving_harness import Pair

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
FEW = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)


# GET /metrics and / are left out of the description; all others must be in it.
TRANSFORMER = {
    "GET /v1/models",
    "GET /v1/models/{model_name}",
    "POST /v1/models/{model_name}:predict",
    "POST /v1/detect",
}
BOTH = {
    "GET /v2",
    "GET /v2/models",
    "GET /v2/models/{model_name}",
    "GET /v2/models/{model_name}/ready",
    "POST /v2/models/{model_name}/infer",
    "GET /v2/health/live",
    "GET /v2/health/ready",
}


@pytest.mark.slow
@pytest.mark.parametrize(("server", "described"), [("transformer", TRANSFORMER | BOTH), ("predictor", BOTH)])
def test_a_server_answers_as_it_describes_itself(pair: Pair, server: str, described: set[str]) -> None:
    schema = schemathesis.openapi.from_url(f"{getattr(pair, server).url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert {f"{each.method.upper()} {each.path}" for each in operations} == described
    for operation in operations:

        @FEW
        @given(case=operation.as_strategy())
        def answered(case: Any) -> None:
            case.call_and_validate(checks=CHECKS, timeout=20)

        answered()
