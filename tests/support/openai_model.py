"""A stand-in for an OpenAI-compatible server: chat, completions, embeddings, responses, models.

What it says names the backend, so a test can tell who answered. Usage is fixed, so
that a test can compute the price.
"""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass
from typing import Any

from tests.support.answers import SSE, Answer, Stream, json_answer, sse
from tests.support.script import Received

DONE = b"data: [DONE]\n\n"
CREATED = 1_790_000_000


def error(status: int, message: str, kind: str, code: str | None = None) -> Answer:
    """An error in OpenAI's own shape."""
    body = {"message": message, "type": kind, "param": None, "code": code}
    return json_answer({"error": body}, status)


@dataclass(frozen=True)
class OpenAIModel:
    name: str = "stub"
    chunks: int = 4
    first_s: float = 0.0
    gap_s: float = 0.0
    input_tokens: int = 9
    output_tokens: int = 5

    @property
    def text(self) -> str:
        return " ".join([self.name] + [f"w{n}" for n in range(1, self.chunks)])

    @property
    def words(self) -> list[str]:
        return [self.name] + [f" w{n}" for n in range(1, self.chunks)]

    @property
    def usage(self) -> dict[str, int]:
        total = self.input_tokens + self.output_tokens
        return {
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": total,
        }

    def __call__(self, received: Received) -> Answer | Stream:
        operation = received.path.rpartition("/v1/")[2]
        if operation == "models":
            return json_answer({"object": "list", "data": [self._card()]})
        if operation.startswith("models/"):
            return json_answer(self._card())
        made = getattr(self, f"_{operation.replace('/', '_')}", None)
        if made is None or received.method != "POST":
            return error(404, f"no {received.method} {received.path}", "invalid_request_error")
        try:
            asked = json.loads(received.body)
        except ValueError:
            return error(400, "the body is not JSON", "invalid_request_error")
        answer: Answer | Stream = made(asked)
        return answer

    def _card(self) -> dict[str, Any]:
        return {"id": self.name, "object": "model", "created": CREATED, "owned_by": "stub"}

    # chat

    def _chat_completions(self, asked: dict[str, Any]) -> Answer | Stream:
        if asked.get("stream"):
            return self._stream(self._chat_events(asked), asked)
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        reason = "stop"
        if asked.get("tools"):
            message = {"role": "assistant", "content": None, "tool_calls": [self._call(asked)]}
            reason = "tool_calls"
        choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
        return json_answer(self._envelope("chat.completion", asked, [choice]))

    def _call(self, asked: dict[str, Any]) -> dict[str, Any]:
        function = asked["tools"][0]["function"]["name"]
        called = {"name": function, "arguments": json.dumps({"city": "Bern"})}
        return {"id": "call_1", "type": "function", "function": called}

    def _envelope(self, kind: str, asked: dict[str, Any], choices: list[Any]) -> dict[str, Any]:
        return {
            "id": f"{self.name}-1",
            "object": kind,
            "created": CREATED,
            "model": asked.get("model", self.name),
            "system_fingerprint": self.name,
            "choices": choices,
            "usage": self.usage,
        }

    def _chunk(self, asked: dict[str, Any], delta: dict[str, Any], reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        event = self._envelope("chat.completion.chunk", asked, [choice])
        event["usage"] = None
        return sse(event)

    def _chat_events(self, asked: dict[str, Any]) -> list[bytes]:
        if asked.get("tools"):
            call = {"index": 0, **self._call(asked)}
            deltas: list[dict[str, Any]] = [{"role": "assistant", "tool_calls": [call]}]
            return [self._chunk(asked, deltas[0], None), self._chunk(asked, {}, "tool_calls")]
        events = [self._chunk(asked, {"content": word}, None) for word in self.words]
        return [*events, self._chunk(asked, {}, "stop")]

    def _stream(self, events: list[bytes], asked: dict[str, Any]) -> Stream:
        options = asked.get("stream_options") or {}
        if options.get("include_usage"):
            events.append(sse(self._envelope("chat.completion.chunk", asked, [])))
        return Stream((*events, DONE), 200, SSE, self.first_s, self.gap_s)

    # the other operations

    def _completions(self, asked: dict[str, Any]) -> Answer | Stream:
        if asked.get("stream"):
            return self._stream([self._text(asked, word) for word in self.words], asked)
        choice = {"index": 0, "text": self.text, "finish_reason": "stop", "logprobs": None}
        return json_answer(self._envelope("text_completion", asked, [choice]))

    def _text(self, asked: dict[str, Any], word: str) -> bytes:
        choice = {"index": 0, "text": word, "finish_reason": None, "logprobs": None}
        return sse(self._envelope("text_completion", asked, [choice]))

    def _embeddings(self, asked: dict[str, Any]) -> Answer:
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        vectors = [[float(len(text)), 0.5, -1.0] for text in texts]
        packed: list[Any] = list(vectors)
        if asked.get("encoding_format") == "base64":
            packed = [base64.b64encode(struct.pack("<3f", *v)).decode() for v in vectors]
        data = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(packed)]
        usage = {"prompt_tokens": self.input_tokens, "total_tokens": self.input_tokens}
        return json_answer(
            {"object": "list", "data": data, "model": asked["model"], "usage": usage}
        )

    def _responses(self, asked: dict[str, Any]) -> Answer | Stream:
        done = self._response(asked, "completed")
        if not asked.get("stream"):
            return json_answer(done)
        begun = self._response(asked, "in_progress")
        at = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
        parts: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
        parts += [{"type": "response.output_text.delta", "delta": w, **at} for w in self.words]
        parts.append({"type": "response.output_text.done", "text": "".join(self.words), **at})
        parts.append({"type": "response.completed", "response": done})
        events = [sse({**part, "sequence_number": n}, part["type"]) for n, part in enumerate(parts)]
        return Stream(tuple(events), 200, SSE, self.first_s, self.gap_s)

    def _response(self, asked: dict[str, Any], status: str) -> dict[str, Any]:
        text = {"type": "output_text", "text": self.text, "annotations": []}
        message = {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": status,
            "content": [text] if status == "completed" else [],
        }
        usage = {
            "input_tokens": self.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": self.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self.input_tokens + self.output_tokens,
        }
        return {
            "id": f"resp_{self.name}",
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "model": asked["model"],
            "output": [message],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": usage if status == "completed" else None,
        }
