"""Any JSON service over HTTP: TF Serving, KServe version 1, MLflow, or something of one's own.

A model is named by TF Serving's path (`/v1/models/NAME:predict`), by the first part of an
MLflow path (`/NAME/invocations`), or by a route's own `match`; the last is resolved by
the table, which knows the routes. Where usage, confidence and version are in an answer
is the backend's configuration.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

import orjson

from gateway._fast import Marks, Operation
from gateway.errors import Outcome
from gateway.plan import CAPABILITIES

_TF_SERVING = re.compile(
    r"/v1/models/(?P<model>[^/:]+)(?P<version>/versions/[^/:]+|/labels/[^/:]+)?"
    r"(?P<verb>:predict|:classify|:regress|/metadata)"
)
_MLFLOW = re.compile(r"/(?P<model>[^/]+)/invocations")
_MARKS = Marks(done="", finish_reason=False)


def _operation(name: str, before: str, after: str = "", *, has_path_model: bool) -> Operation:
    return Operation(
        name,
        protocol="http",
        before=before,
        after=after,
        needs=("predict",),
        capabilities=CAPABILITIES,
        has_path_model=has_path_model,
        marks=_MARKS,
    )


class Http:
    """Predictions by path; nothing is assumed about bodies but that errors may be JSON."""

    name = "http"
    content_type = b"application/json"

    def resolve(self, method: str, path: str) -> tuple[Operation, str | None] | None:
        found = _TF_SERVING.fullmatch(path)
        if found is not None and (method == "GET") == (found["verb"] == "/metadata"):
            after = (found["version"] or "") + found["verb"]
            operation = _operation("predict", "/v1/models/", after, has_path_model=True)
            return operation, unquote(found["model"])
        found = _MLFLOW.fullmatch(path)
        if found is not None and method == "POST":
            operation = _operation("invocations", "/invocations", has_path_model=False)
            return operation, unquote(found["model"])
        return None

    def matched(self, path: str) -> Operation:
        """The operation of a path that a route's own `match` claims: passed on as it is."""
        return _operation("predict", path, has_path_model=False)

    def own_answers(self, routes: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        return {}

    def error(self, status: int, outcome: Outcome, sentence: str, place: str = "") -> bytes:
        return orjson.dumps({"error": sentence})

    def stream_error(self, outcome: Outcome, *, ndjson: bool) -> bytes:
        line = orjson.dumps({"error": outcome.sentence})
        return line + b"\n" if ndjson else b"data: " + line + b"\n\n"
