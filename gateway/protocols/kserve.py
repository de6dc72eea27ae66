"""The Open Inference Protocol, version 2, over REST: KServe, Triton, MLServer, Seldon.

The model's name stands in the path. Bodies are passed on unread, so Triton's binary
tensors (`Inference-Header-Content-Length`) go through as they are.

https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

import orjson

from gateway import __version__
from gateway._fast import Marks, Operation
from gateway.errors import Outcome
from gateway.plan import CAPABILITIES

_MODEL = re.compile(
    r"/v2/models/(?P<model>[^/]+)"
    r"(?P<version>/versions/[^/]+)?"
    r"(?P<verb>|/infer|/ready|/stats|/config|/generate|/generate_stream)"
)
_PREDICTING = {"/infer", "/generate", "/generate_stream"}
_MARKS = Marks(done="", finish_reason=False)


class KServe:
    """Inference, readiness and metadata by model; server health is the gateway's own."""

    name = "kserve"
    content_type = b"application/json"

    def resolve(self, method: str, path: str) -> tuple[Operation, str | None] | None:
        found = _MODEL.fullmatch(path)
        if found is None:
            return None
        verb = found["verb"]
        if (method == "POST") != (verb in _PREDICTING):
            return None
        operation = Operation(
            verb.removeprefix("/") or "metadata",
            protocol="kserve",
            before="/v2/models/",
            after=(found["version"] or "") + verb,
            needs=("predict",) if verb in _PREDICTING else (),
            capabilities=CAPABILITIES,
            has_path_model=True,
            marks=_MARKS if verb in _PREDICTING else None,
        )
        return operation, unquote(found["model"])

    def own_answers(self, routes: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        server = {"name": "gateway", "version": __version__, "extensions": ["binary_tensor_data"]}
        return {
            "/v2": (200, orjson.dumps(server)),
            "/v2/health/live": (200, orjson.dumps({"live": True})),
            "/v2/health/ready": (200, orjson.dumps({"ready": True})),
        }

    def error(self, status: int, outcome: Outcome, sentence: str, place: str = "") -> bytes:
        return orjson.dumps({"error": sentence})

    def stream_error(self, outcome: Outcome, *, ndjson: bool) -> bytes:
        line = orjson.dumps({"error": outcome.sentence})
        return line + b"\n" if ndjson else b"data: " + line + b"\n\n"
