"""OpenAI's HTTP API, as its own service and vLLM, SGLang, Ollama and others speak it.

The model's name is the body's `model` member. Chat and completions stream SSE that ends
with `data: [DONE]`; the Responses API ends with a `response.completed` event. Usage comes
with the answer, or in a last event that has to be asked for by `stream_options`.

https://platform.openai.com/docs/api-reference
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import orjson

from gateway._fast import Marks, Operation
from gateway.errors import Outcome
from gateway.plan import CAPABILITIES

_STREAM = Marks()
_RESPONSES = Marks(
    done="",
    usage=("/usage", "/response/usage"),
    ended={"response.completed": "stop", "response.incomplete": "length"},
    failing=("error", "response.failed"),
    finish_reason=False,
)
_PLAIN = Marks(done="", finish_reason=False)
_WHOLE = Marks(done="")  # a chat or completion that is no stream

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
_CODES = {"no_route": "model_not_found", "unauthenticated": "invalid_api_key"}


_operation = partial(
    Operation,
    protocol="openai",
    capabilities=CAPABILITIES,
    has_body_model=True,
    answer_marks=_PLAIN,
)

_OPERATIONS = {
    "/v1/chat/completions": _operation(
        "chat", before="/chat/completions", needs=("chat",), marks=_STREAM, answer_marks=_WHOLE,
        adds_usage=True, is_generation=True, needs_end=True,
    ),
    "/v1/completions": _operation(
        "completions", before="/completions", needs=("completions",), marks=_STREAM,
        answer_marks=_WHOLE,
        adds_usage=True, is_generation=True, needs_end=True,
    ),
    "/v1/responses": _operation(
        "responses", before="/responses", needs=("responses",), marks=_RESPONSES,
        is_generation=True, needs_end=True,
    ),
    "/v1/embeddings": _operation(
        "embeddings", before="/embeddings", needs=("embeddings",), marks=_PLAIN,
    ),
}  # fmt: skip


class OpenAI:
    """Chat, completions, responses, embeddings; everything else under `/v1/` passes through."""

    name = "openai"
    content_type = b"application/json"

    def resolve(self, method: str, path: str) -> tuple[Operation, str | None] | None:
        if path in _OPERATIONS:
            return (_OPERATIONS[path], None) if method == "POST" else None
        if not path.startswith("/v1/"):
            return None
        other = Operation(
            "other",
            protocol="openai",
            before=path.removeprefix("/v1"),
            capabilities=CAPABILITIES,
            has_body_model=True,
            is_body_optional=True,
            marks=_PLAIN,
        )
        return other, None

    def own_answers(self, routes: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        models = [
            {"id": name, "object": "model", "created": 0, "owned_by": "gateway"} for name in routes
        ]
        answers = {"/v1/models": (200, orjson.dumps({"object": "list", "data": models}))}
        answers |= {f"/v1/models/{model['id']}": (200, orjson.dumps(model)) for model in models}
        return answers

    def error(self, status: int, outcome: Outcome, sentence: str, place: str = "") -> bytes:
        said = self._error(status, outcome, sentence)
        return orjson.dumps({"error": said | {"param": place or None}})

    def stream_error(self, outcome: Outcome, *, ndjson: bool) -> bytes:
        line = orjson.dumps(
            {"error": self._error(outcome.status or 502, outcome, outcome.sentence)}
        )
        return line + b"\n" if ndjson else b"data: " + line + b"\n\n"

    def _error(self, status: int, outcome: Outcome, message: str) -> dict[str, object]:
        kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
        code = _CODES.get(outcome.reason, outcome.reason)
        return {"message": message, "type": kind, "param": None, "code": code}
