"""The Open Inference Protocol: paths, versions, the server's own answers, errors."""

from __future__ import annotations

import orjson
import pytest

from gateway import __version__
from gateway.plan import CAPABILITIES
from gateway.protocols.kserve import KServe
from tests.protocols.paths import BY_REASON, Meaning, error, event, meaning

KSERVE = KServe()


@pytest.mark.parametrize(
    "method,path,expected",
    [
        ("POST", "/v2/models/fraud/infer", ("infer", "fraud")),
        ("POST", "/v2/models/fraud/versions/3/infer", ("infer", "fraud")),
        ("POST", "/v2/models/fraud/generate", ("generate", "fraud")),
        ("POST", "/v2/models/fraud/generate_stream", ("generate_stream", "fraud")),
        ("GET", "/v2/models/fraud", ("metadata", "fraud")),
        ("GET", "/v2/models/fraud/versions/3", ("metadata", "fraud")),
        ("GET", "/v2/models/fraud/ready", ("ready", "fraud")),
        ("GET", "/v2/models/fraud/stats", ("stats", "fraud")),
        ("GET", "/v2/models/fraud/config", ("config", "fraud")),
        ("POST", "/v2/models/a%2Fb/infer", ("infer", "a/b")),
        ("POST", "/v2/models/%C3%A9/infer", ("infer", "é")),
        ("GET", "/v2/models/fraud/infer", None),
        ("POST", "/v2/models/fraud", None),
        ("POST", "/v2/models/fraud/ready", None),
        ("POST", "/v2/models//infer", None),
        ("POST", "/v2/models/fraud/infer/more", None),
        ("POST", "/v2/models/fraud/versions//infer", None),
        ("POST", "/v2/repository/index", None),
        ("POST", "/v1/models/fraud:predict", None),
    ],
)
def test_path_names_the_model_and_what_is_asked(
    method: str, path: str, expected: Meaning | None
) -> None:
    assert meaning(KSERVE, method, path) == expected


@pytest.mark.parametrize(
    "method,path,predicts",
    [
        ("POST", "/v2/models/m/infer", True),
        ("POST", "/v2/models/m/generate_stream", True),
        ("GET", "/v2/models/m/ready", False),
        ("GET", "/v2/models/m", False),
    ],
)
def test_only_predictions_need_a_backend_that_predicts(
    method: str, path: str, predicts: bool
) -> None:
    found = KSERVE.resolve(method, path)
    assert found is not None
    assert bool(found[0].capability & CAPABILITIES["predict"]) is predicts


def test_server_itself_is_the_gateway() -> None:
    answers = KSERVE.own_answers(["fraud"])
    assert orjson.loads(answers["/v2"][1])["version"] == __version__
    assert orjson.loads(answers["/v2/health/live"][1]) == {"live": True}
    assert orjson.loads(answers["/v2/health/ready"][1]) == {"ready": True}
    assert {status for status, _body in answers.values()} == {200}


def test_error_is_one_sentence() -> None:
    assert error(KSERVE, "no_route", "No.") == {"error": "No."}


def test_stream_ends_with_the_outcomes_sentence() -> None:
    outcome = BY_REASON["idle_timeout"]
    assert event(KSERVE, outcome, ndjson=True) == (b'{"error":"The backend\'s answer stalled."}\n')
    assert event(KSERVE, outcome, ndjson=False) == (
        b'data: {"error":"The backend\'s answer stalled."}\n\n'
    )
