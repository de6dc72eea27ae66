"""OpenFeature's remote evaluation protocol (OFREP), over whatever carries requests.

    POST /ofrep/v1/evaluate/flags/KEY   {"context": {"targetingKey": …, …}}   one flag
    POST /ofrep/v1/evaluate/flags       the same                              all flags
    GET  /ofrep/v1/configuration                                              for providers

All flags come with an ETag, which is the hash of the answer: whoever sends it back in
If-None-Match gets 304 until an evaluation for this context changes. A flag that is off has
no value (the specification's code default), so that the application's own default holds.

Rule: any body, however wrong, has an answer of the specification's shape.
https://github.com/open-feature/protocol/blob/main/service/openapi.yaml
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from gateway.flags.evaluation import TARGETING_KEY, Context, Evaluation, Flags

PREFIX = "/ofrep/v1/"
EVALUATE = PREFIX + "evaluate/flags"
CONFIGURATION = PREFIX + "configuration"
POLL_MS = 1000  # oftener nobody needs to ask
MOST_KEPT = 4096  # evaluations as JSON; keys that nobody has are among them, so it is bounded

_STATUSES = {"FLAG_NOT_FOUND": 404, "GENERAL": 500}
_CONFIGURATION = msgspec.json.encode(
    {
        "name": "inference-gateway",
        "capabilities": {
            "cacheInvalidation": {"polling": {"enabled": True, "minPollingIntervalMs": POLL_MS}},
            "flagEvaluation": {"supportedTypes": []},  # all
            "caching": {"enabled": True, "ttl": POLL_MS},
        },
    }
)


class Answer(Struct, frozen=True):
    """What is said; always JSON, but for 304, which has no body."""

    status: int
    body: bytes = b""
    etag: str = ""  # with its quotes
    allow: str = ""  # of 405

    def fields(self) -> bytes:
        """The header fields as they go over the wire, each with its line end."""
        lines = ["content-type: application/json"] if self.status != 304 else []
        lines += [f"etag: {self.etag}", "cache-control: no-cache"] if self.etag else []
        lines += [f"allow: {self.allow}"] if self.allow else []
        return "".join(f"{line}\r\n" for line in lines).encode("ascii")


class _Wrong(Exception):
    """The body is no context."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(details)
        self.code, self.details = code, details


def answer(flags: Flags, method: str, path: str, body: bytes, if_none_match: str = "") -> Answer:
    """What a client of this path is told."""
    if path == CONFIGURATION:
        if method not in {"GET", "HEAD"}:
            return _not_allowed("GET")
        return _tagged(_CONFIGURATION, if_none_match)
    if path.rstrip("/") == EVALUATE:
        return _not_allowed("POST") if method != "POST" else _bulk(flags, body, if_none_match)
    if path.startswith(EVALUATE + "/"):
        key = unquote(path.removeprefix(EVALUATE + "/"))
        return _not_allowed("POST") if method != "POST" else _single(flags, key, body)
    return _general(404, "Nothing is served at this path.")


def _single(flags: Flags, key: str, body: bytes) -> Answer:
    try:
        found = flags.evaluate(key, context_of(body))
    except _Wrong as wrong:
        return Answer(400, msgspec.json.encode({"key": key, **_told(wrong)}))
    status = _STATUSES.get(found.error, 400) if found.error else 200
    return Answer(status, _as_json(found))


def _bulk(flags: Flags, body: bytes, if_none_match: str) -> Answer:
    try:
        found = flags.all(context_of(body))
    except _Wrong as wrong:
        return Answer(400, msgspec.json.encode(_told(wrong)))
    return _tagged(b'{"flags":[%b]}' % b",".join(map(_as_json, found)), if_none_match)


def context_of(body: bytes) -> Context:
    """The context of a request's body; an empty body has an empty one."""
    try:
        request = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, RecursionError):
        raise _Wrong("PARSE_ERROR", "The body is not JSON.") from None
    if not isinstance(request, dict):
        raise _Wrong("INVALID_CONTEXT", "The body is not an object with a `context`.")
    context = request.get("context", {})
    if not isinstance(context, dict):
        raise _Wrong("INVALID_CONTEXT", "`context` is not an object.")
    if not isinstance(context.get(TARGETING_KEY, ""), str | int | float):
        raise _Wrong("INVALID_CONTEXT", f"`context.{TARGETING_KEY}` is not a text.")
    return context


def _told(wrong: _Wrong) -> dict[str, str]:
    return {"errorCode": wrong.code, "errorDetails": wrong.details}


@lru_cache(MOST_KEPT)
def _as_json(found: Evaluation) -> bytes:
    if found.error:
        told = {"key": found.key, "errorCode": found.error, "errorDetails": found.details}
        return msgspec.json.encode(told)
    shown: dict[str, Any] = {"key": found.key, "reason": found.reason, "metadata": {}}
    if found.value is not None:
        shown |= {"variant": found.variant, "value": msgspec.Raw(found.value)}
    return msgspec.json.encode(shown)


def _tagged(body: bytes, if_none_match: str) -> Answer:
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    if known & {etag, "*"}:
        return Answer(304, etag=etag)
    return Answer(200, body, etag=etag)


def _not_allowed(method: str) -> Answer:
    told = _general(405, f"This path wants {method}.")
    return Answer(told.status, told.body, allow=method)


def _general(status: int, details: str) -> Answer:
    return Answer(status, msgspec.json.encode({"errorDetails": details}))
