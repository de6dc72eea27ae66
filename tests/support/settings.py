"""Configurations for tests: plain data that is written as the gateway's YAML.

Knows the file's keys and nothing else of the gateway. JSON is YAML, so it is written
as JSON.
"""

from __future__ import annotations

import json
import socket
from collections import deque
from typing import Any

from tests.support.backends import Backend

Settings = dict[str, Any]
ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
# A backend that fails stays in use, and nothing is tried twice: faults show as they are.
NO_BREAKER: Settings = {"consecutive": 0, "failure_share": "100%"}
ONE_ATTEMPT: Settings = {"attempts": 1}
# So that a test of patience takes a moment.
SHORT: Settings = {"connect": "500ms", "first_byte": "400ms", "idle": "400ms", "total": "5s"}


def openai_backend(backend: Backend, **more: Any) -> Settings:
    return {"protocol": "openai", "url": backend.url + "/v1", **more}


def kserve_backend(backend: Backend, **more: Any) -> Settings:
    return {"protocol": "kserve", "url": backend.url, **more}


def http_backend(backend: Backend, **more: Any) -> Settings:
    return {"protocol": "http", "url": backend.url, **more}


def route(*backends: str, **more: Any) -> Settings:
    return {"backends": list(backends), **more}


def configuration(
    backends: dict[str, Settings], routes: dict[str, Settings], **more: Any
) -> Settings:
    return {"workers": 1, "backends": backends, "routes": routes, **more}


def chat(*backends: Backend, each: Settings | None = None, **more: Any) -> Settings:
    """A route `chat` over these backends, in that order, named by their names."""
    table = {backend.name: openai_backend(backend, **(each or {})) for backend in backends}
    top = {key: more.pop(key) for key in tuple(more) if key in TOP}
    return configuration(table, {"chat": route(*table, **more)}, **top)


TOP = {"limits", "cors", "forwarded", "drain", "defaults", "workers", "server_header", "listen"}


def echo(backend: Backend, each: Settings | None = None, **more: Any) -> Settings:
    """A route `echo` for any method at /echo*, over one `http` backend."""
    top = {key: more.pop(key) for key in tuple(more) if key in TOP}
    match = [{"path": "/echo*", "methods": ANY_METHOD}]
    made = route("echo", match=match, **{"retry": ONE_ATTEMPT, **more})
    backend_settings = http_backend(backend, **{"breaker": NO_BREAKER, **(each or {})})
    return configuration({"echo": backend_settings}, {"echo": made}, **top)


def text_of(settings: Settings) -> str:
    return json.dumps(settings, indent=1)


_LAST: deque[int] = deque(maxlen=8)


def free_port(host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        with socket.socket(family) as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
        if port not in _LAST:  # Why: the next free one may be the same again
            _LAST.append(port)
            return port
