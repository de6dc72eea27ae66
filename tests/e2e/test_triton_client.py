"""tritonclient[http], unchanged, through the gateway to a stand-in v2 server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.support import faults
from tests.support.answers import json_answer, plays
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend, MakeGateway
from tests.support.json_models import BINARY_HEADER, KServeModel
from tests.support.settings import configuration, kserve_backend, route

triton = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")

VALUES = np.array([1.5, -2.0, 3.25], dtype=np.float32)


@pytest.fixture
def backend(make_backend: MakeBackend) -> Backend:
    return make_backend("fraud-v3", plays(KServeModel("fraud-v3")))


@pytest.fixture
def client(backend: Backend, make_gateway: MakeGateway) -> Iterator[Any]:
    table = {"fraud-v3": kserve_backend(backend)}
    gateway = make_gateway(configuration(table, {"fraud": route("fraud-v3")}))
    client = triton.InferenceServerClient(f"{gateway.address[0]}:{gateway.address[1]}")
    yield client
    client.close()


def tensor(binary: bool) -> Any:
    made = triton.InferInput("INPUT0", [3], "FP32")
    made.set_data_from_numpy(VALUES, binary_data=binary)
    return made


def test_health(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("fraud")


def test_metadata(client: Any) -> None:
    assert client.get_server_metadata()["name"]
    assert client.get_model_metadata("fraud")["inputs"][0]["name"] == "INPUT0"


@pytest.mark.parametrize("answer_binary", [False, True])
@pytest.mark.parametrize("ask_binary", [False, True])
def test_inference(client: Any, ask_binary: bool, answer_binary: bool) -> None:
    wanted = [triton.InferRequestedOutput("OUTPUT0", binary_data=answer_binary)]
    answer = client.infer("fraud", [tensor(ask_binary)], outputs=wanted)
    assert answer.as_numpy("OUTPUT0").tolist() == (VALUES * 2).tolist()


def test_model_is_called_by_the_backends_own_name(client: Any, backend: Backend) -> None:
    client.infer("fraud", [tensor(binary=True)])
    assert backend.received[-1].target == "/v2/models/fraud-v3/infer"
    assert backend.received[-1].header(BINARY_HEADER)


def test_model_version_in_the_path_is_kept(client: Any, backend: Backend) -> None:
    client.infer("fraud", [tensor(binary=True)], model_version="2")
    assert backend.received[-1].target == "/v2/models/fraud-v3/versions/2/infer"


def test_compressed_tensors_pass_unchanged(client: Any, backend: Backend) -> None:
    with pytest.raises(triton.InferenceServerException):  # the stub does not read gzip
        client.infer("fraud", [tensor(binary=True)], request_compression_algorithm="gzip")
    assert backend.received[-1].header("content-encoding") == "gzip"
    assert backend.received[-1].body.startswith(b"\x1f\x8b")


def test_unknown_model_is_an_error_in_the_protocols_shape(client: Any) -> None:
    with pytest.raises(triton.InferenceServerException) as caught:
        client.infer("nobody", [tensor(binary=True)])
    assert "model" in caught.value.message()


def test_backends_error_is_passed_on(client: Any, backend: Backend) -> None:
    backend.answer = plays(lambda _: json_answer({"error": "shape does not fit"}, 400))
    with pytest.raises(triton.InferenceServerException, match="shape does not fit"):
        client.infer("fraud", [tensor(binary=False)])


def test_failing_backend_is_replaced_by_a_good_one(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    bad = make_backend("bad", faults.reset_before_head())
    good = make_backend("good", plays(KServeModel("good")))
    table = {one.name: kserve_backend(one) for one in (bad, good)}
    gateway = make_gateway(configuration(table, {"fraud": route("bad", "good")}))
    client = triton.InferenceServerClient(f"{gateway.address[0]}:{gateway.address[1]}")
    answer = client.infer("fraud", [tensor(binary=True)])
    assert answer.as_numpy("OUTPUT0").tolist() == (VALUES * 2).tolist()
    assert good.received[0].target == "/v2/models/good/infer"
    client.close()
