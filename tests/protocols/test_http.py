"""JSON services over HTTP: TF Serving's and MLflow's paths, and paths of a route's own."""

from __future__ import annotations

import pytest

from gateway.plan import CAPABILITIES
from gateway.protocols.http import Http
from tests.protocols.paths import BY_REASON, Meaning, error, event, meaning

HTTP = Http()


@pytest.mark.parametrize(
    "method,path,expected",
    [
        ("POST", "/v1/models/iris:predict", ("predict", "iris")),
        ("POST", "/v1/models/iris:classify", ("predict", "iris")),
        ("POST", "/v1/models/iris:regress", ("predict", "iris")),
        ("POST", "/v1/models/iris/versions/2:predict", ("predict", "iris")),
        ("POST", "/v1/models/iris/labels/stable:predict", ("predict", "iris")),
        ("GET", "/v1/models/iris/metadata", ("predict", "iris")),
        ("GET", "/v1/models/iris/versions/2/metadata", ("predict", "iris")),
        ("POST", "/iris/invocations", ("invocations", "iris")),
        ("POST", "/my%20model/invocations", ("invocations", "my model")),
        ("GET", "/v1/models/iris:predict", None),
        ("POST", "/v1/models/iris/metadata", None),
        ("POST", "/v1/models/iris:explain", None),
        ("POST", "/v1/models/iris", None),
        ("POST", "/v1/models/:predict", None),
        ("GET", "/iris/invocations", None),
        ("POST", "/a/b/invocations", None),
        ("POST", "/invocations", None),
        ("POST", "/", None),
    ],
)
def test_path_names_the_model(method: str, path: str, expected: Meaning | None) -> None:
    assert meaning(HTTP, method, path) == expected


@pytest.mark.parametrize("path", ["/v1/models/m:predict", "/m/invocations"])
def test_every_operation_needs_a_backend_that_predicts(path: str) -> None:
    found = HTTP.resolve("POST", path)
    assert found is not None
    assert found[0].capability == CAPABILITIES["predict"]


def test_path_that_a_route_claims_is_a_prediction_by_that_path() -> None:
    operation = HTTP.matched("/score/now")
    assert (operation.name, operation.protocol) == ("predict", "http")
    assert operation.capability == CAPABILITIES["predict"]


def test_gateway_answers_nothing_itself() -> None:
    assert HTTP.own_answers(["iris"]) == {}


def test_errors_are_one_sentence() -> None:
    assert error(HTTP, "no_route", "No.") == {"error": "No."}
    assert event(HTTP, BY_REASON["truncated"], ndjson=True) == (
        b'{"error":"The backend\'s answer was incomplete."}\n'
    )
    assert event(HTTP, BY_REASON["truncated"], ndjson=False).startswith(b"data: {")
