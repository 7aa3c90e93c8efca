"""The API under schemathesis: whatever is sent by its own document, it never fails, and answers as it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from console.rights import SCOPES, may
from console.service import Service
from console.tokens import make_token
from console.web.app import make_app
from tests.console.build import Clock, flag, person, service_of, take

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Service]:
    where = tmp_path if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    made = service_of(where, clock)
    yield made
    made.database.close()


@pytest.mark.parametrize("role", ["lead", "admin"])
def test_no_request_makes_it_fail(service: Service, role: str) -> None:
    import schemathesis
    from hypothesis import HealthCheck, Phase, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    take(service, *(flag(f"u{number}") for number in range(5)))
    owner = person(service, "owner", role)
    scopes = [scope for scope, right in SCOPES.items() if may(role, right)]
    with service.database.writing() as connection:
        token = make_token(connection, owner.id, role, "fuzz", scopes, 30, now=service.clock())
    app = make_app(service)
    app.routes[-2].app.state.limiter.burst = app.routes[-2].app.state.limiter.rate = 1e9  # type: ignore[attr-defined]
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    headers = {"authorization": f"Bearer {token}"}
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    calls = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=25,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=True,
        )
        @_given(operation)
        def check(case: Any) -> None:
            nonlocal calls
            calls += 1
            case.call_and_validate(headers=headers, checks=checks)

        check()
    assert calls > 200
    assert TestClient(app).get("/livez").status_code == 200


def _given(operation: Any) -> Any:
    from hypothesis import given

    return given(case=operation.as_strategy())
