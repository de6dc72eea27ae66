"""Questions to an MLflow server, over a stand-in; `test_real_mlflow` has the real one."""

from __future__ import annotations

import socket
import time

import pytest

from gateway.calls import MAX_ANSWER_BYTES
from gateway.config.recording import MlflowModel
from gateway.config.units import Secret
from gateway.registry.mlflow import ServerAway, ask_mlflow
from gateway.registry.registration import Registration, RegistryError
from tests.registry.mlflow_stand_in import VERSION, StandIn

TOKEN = "dapi-planted-secret"


def model(url: str, alias: str = "champion", version: str = "") -> MlflowModel:
    return MlflowModel(url=url, name="fraud", alias=alias, version=version, token=Secret(TOKEN))


def problem(stand_in: StandIn, timeout_s: float = 1.0) -> str:
    with stand_in as url, pytest.raises(RegistryError) as caught:
        ask_mlflow(model(url), timeout_s)
    assert TOKEN not in str(caught.value)
    return str(caught.value).replace(url.removeprefix("http://").removesuffix("/base"), "HOST")


def test_version_of_an_alias_is_told_with_its_run() -> None:
    stand_in = StandIn()
    with stand_in as url:
        found = ask_mlflow(model(url))
    assert found == Registration(
        source="mlflow",
        trained_at="2026-09-21T14:15:00Z",
        data=("payments (9f2c)",),
        metrics={"auc": 0.97},
        params={"depth": "6"},
        owner="ada",
        model="fraud",
        version="7",
        aliases={"champion": "7", "challenger": "8"},
        run="run1",
    )
    assert stand_in.asked == [
        ("registered-models/alias", {"name": "fraud", "alias": "champion"}, f"Bearer {TOKEN}"),
        ("registered-models/get", {"name": "fraud"}, f"Bearer {TOKEN}"),
        ("runs/get", {"run_id": "run1"}, f"Bearer {TOKEN}"),
    ]


def test_version_may_be_named_by_its_number() -> None:
    stand_in = StandIn()
    with stand_in as url:
        assert ask_mlflow(model(url, alias="", version="7")).version == "7"
    assert stand_in.asked[0][:2] == ("model-versions/get", {"name": "fraud", "version": "7"})


def test_version_outlives_its_run() -> None:
    stand_in = StandIn(runs__get=None)
    with stand_in as url:
        found = ask_mlflow(model(url))
    assert (found.version, found.metrics) == ("7", {})
    assert found.trained_at == "2026-09-21T14:13:20Z"  # the version's own


@pytest.mark.parametrize(
    "status,code", [(404, "RESOURCE_DOES_NOT_EXIST"), (400, "INVALID_PARAMETER_VALUE")]
)
def test_unknown_alias_is_said(status: int, code: str) -> None:
    answer = {"error_code": code, "message": "Registered model alias champion not found."}
    stand_in = StandIn(registered_models__alias=answer)
    stand_in.status["registered-models/alias"] = status
    said = "the MLflow server at HOST has no model `fraud` with the alias `champion`"
    assert problem(stand_in) == said


@pytest.mark.parametrize(
    "status,said",
    [
        (401, "the MLflow server at HOST does not accept the token (HTTP 401)"),
        (403, "the MLflow server at HOST does not accept the token (HTTP 403)"),
        (302, "the MLflow server at HOST redirects (HTTP 302), which is not followed"),
        (500, "the MLflow server at HOST answered with HTTP 500"),
    ],
)
def test_refusal_is_one_sentence_and_asked_no_further(status: int, said: str) -> None:
    stand_in = StandIn()
    stand_in.status["registered-models/alias"] = status
    assert problem(stand_in).startswith(said)
    assert len(stand_in.asked) == 1


@pytest.mark.parametrize(
    "answer,said",
    [
        (b"<html>", "what answers at HOST is no MLflow"),
        (b"[" * 100_000, "what answers at HOST is no MLflow"),
        ({"model_version": {"version": [7]}}, "what answers at HOST is no MLflow"),
        (b" " * (MAX_ANSWER_BYTES + 1), "the MLflow server at HOST answered with more than 1 MiB"),
    ],
)
def test_what_is_no_mlflow_is_one_sentence(answer: object, said: str) -> None:
    assert problem(StandIn(registered_models__alias=answer)) == said


def test_long_texts_and_lists_are_cut() -> None:
    long = {**VERSION, "description": "x" * 1000}
    many = [{"key": f"m{n}", "value": n} for n in range(1000)]
    run = {"data": {"metrics": many}}
    with StandIn(registered_models__alias={"model_version": long}, runs__get={"run": run}) as url:
        found = ask_mlflow(model(url))
    assert (len(found.description), len(found.metrics)) == (256, 64)


def test_server_that_drips_does_not_hold_us_up() -> None:
    stand_in = StandIn()
    stand_in.drip_s = 0.05
    began = time.monotonic()
    assert problem(stand_in, 0.2) == "the MLflow server at HOST did not answer within 0.2 s"
    assert time.monotonic() - began < 1.0


def test_server_that_is_not_there_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(
        ServerAway, match=f"at 127.0.0.1:{port} does not answer .Connection refused"
    ):
        ask_mlflow(model(f"http://127.0.0.1:{port}"))


def test_server_that_says_nothing_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ServerAway, match=r"within 0\.1 s"):
            ask_mlflow(model(url), 0.1)


@pytest.mark.parametrize(
    "url,said",
    [
        ("mlflow:5000", "is no URL such as"),
        ("http://[::1", "is no URL such as"),
        ("http://user:pass@mlflow", "credentials do not belong into the `url`"),
    ],
)
def test_wrong_url_is_one_sentence(url: str, said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        ask_mlflow(model(url))


def test_token_does_not_print() -> None:
    assert TOKEN not in repr(model("http://mlflow"))
