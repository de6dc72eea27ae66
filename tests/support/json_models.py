"""Stand-ins for classic model servers: TF Serving's and MLflow's JSON, and KServe v2 (OIP).

The v2 model doubles its first input. Triton's binary tensors go both ways: the JSON
head's length is in `inference-header-content-length`, the tensors follow it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.support.answers import Answer, json_answer
from tests.support.script import Received

BINARY_HEADER = "inference-header-content-length"
DTYPES: dict[str, Any] = {
    "FP32": np.float32,
    "FP64": np.float64,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
}


@dataclass(frozen=True)
class JSONModel:
    """TF Serving (`:predict`) and MLflow (`/invocations`): the sum of each instance."""

    name: str = "stub"

    def __call__(self, received: Received) -> Answer:
        if received.path in ("/ping", "/health", "/version"):
            return Answer(200, (("content-type", "text/plain"),), b"ok")
        if received.method != "POST":
            return json_answer({"error": "no such page"}, 404)
        try:
            asked = json.loads(received.body)
        except ValueError:
            return json_answer({"error": "the body is not JSON"}, 400)
        rows = asked.get("instances") or asked.get("inputs") or []
        sums = [sum(row) if isinstance(row, list) else row for row in rows]
        return json_answer({"predictions": sums, "model_version": self.name})


@dataclass(frozen=True)
class KServeModel:
    """The Open Inference Protocol, JSON and binary tensors."""

    name: str = "stub"

    def __call__(self, received: Received) -> Answer:
        path = received.path
        if path in ("/v2/health/live", "/v2/health/ready"):
            return Answer(200, (), b"")
        if path == "/v2":
            return json_answer({"name": self.name, "version": "1", "extensions": ["binary_tensor"]})
        if path.endswith("/infer"):
            return self._infer(received)
        if path.endswith("/ready"):
            return Answer(200, (), b"")
        if path.startswith("/v2/models/"):
            return json_answer(self._metadata(path.split("/")[3]))
        return json_answer({"error": f"no such page: {path}"}, 404)

    def _metadata(self, model: str) -> dict[str, Any]:
        tensor = {"datatype": "FP32", "shape": [-1]}
        return {
            "name": model,
            "versions": ["1"],
            "platform": "stub",
            "inputs": [{"name": "INPUT0", **tensor}],
            "outputs": [{"name": "OUTPUT0", **tensor}],
        }

    def _infer(self, received: Received) -> Answer:
        split = received.header(BINARY_HEADER)
        head_bytes = int(split) if split else len(received.body)
        asked = json.loads(received.body[:head_bytes])
        tensor = asked["inputs"][0]
        doubled = _values(tensor, received.body[head_bytes:]) * 2
        output = {"name": "OUTPUT0", "datatype": tensor["datatype"], "shape": tensor["shape"]}
        head = {"model_name": received.path.split("/")[3], "model_version": "1", "id": self.name}
        if not _wants_binary(asked):
            output["data"] = doubled.tolist()
            return json_answer({**head, "outputs": [output]})
        raw = doubled.tobytes()
        output["parameters"] = {"binary_data_size": len(raw)}
        text = json.dumps({**head, "outputs": [output]}).encode()
        kinds = (("content-type", "application/octet-stream"), (BINARY_HEADER, str(len(text))))
        return Answer(200, kinds, text + raw)


def _values(tensor: dict[str, Any], raw: bytes) -> np.ndarray[Any, Any]:
    kind = DTYPES[tensor["datatype"]]
    if "data" in tensor:
        return np.array(tensor["data"], dtype=kind).ravel()
    assert len(raw) == tensor["parameters"]["binary_data_size"], "the tensor's bytes were changed"
    return np.frombuffer(raw, dtype=kind)


def _wants_binary(asked: dict[str, Any]) -> bool:
    if asked.get("parameters", {}).get("binary_data_output"):
        return True
    outputs = asked.get("outputs") or [{}]
    return bool(outputs[0].get("parameters", {}).get("binary_data"))
