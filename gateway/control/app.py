"""The Starlette application of the admin port, made from its parts.

`create_app` turns the table of `api` into routes, puts the walls of `access` around all
of them, and keeps `recent` fed while it runs. `run` serves the result with uvicorn.

Rule: each route is made from a declared Endpoint or page; the token is checked by the
route itself, so a path that no declaration made has no handler to reach.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.control.access import Access, Role, Walls
from gateway.control.api import ENDPOINTS
from gateway.control.endpoint import API, MAX_BODY_BYTES, Call, Endpoint
from gateway.control.faults import Fault, on_error
from gateway.control.openapi import document
from gateway.control.overview import Overview
from gateway.control.parts import Parts
from gateway.control.recent import EVERY_NS, Recent
from gateway.errors import GatewayError
from gateway.telemetry import NANO

STATIC = Path(__file__).parent / "static"
PAGES = {
    "/": ("index.html", "text/html"),
    "/static/status.css": ("status.css", "text/css"),
    "/static/status.js": ("status.js", "text/javascript"),
    "/static/icon.svg": ("icon.svg", "image/svg+xml"),
}

_LONGEST_REASON = 200

Answer = Callable[[Request], Coroutine[Any, Any, Response]]


class DeclaredRoute(Route):
    """A route that knows its role."""

    def __init__(self, path: str, answer: Answer, method: str, role: Role) -> None:
        super().__init__(path, answer, methods=[method])
        self.role = role


def create_app(parts: Parts) -> Walls:
    """The application; ConfigError if it would be open to the network without a token."""
    access = Access(parts.host, parts.token)
    return Walls(_starlette(parts, access), access)


def _starlette(parts: Parts, access: Access) -> Starlette:
    recent = Recent(parts.board)
    overview = Overview(parts, recent)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        feeding = asyncio.create_task(_feed(recent, parts))
        yield
        feeding.cancel()

    return Starlette(
        routes=[
            *(_endpoint_route(e, access, parts, overview) for e in ENDPOINTS),
            _constant_route(f"{API}/openapi.json", msgspec.json.encode(document()), access),
            *(_page_route(path, name, media) for path, (name, media) in PAGES.items()),
        ],
        exception_handlers=dict.fromkeys((Fault, GatewayError, HTTPException, Exception), on_error),
        lifespan=lifespan,
    )


async def _feed(recent: Recent, parts: Parts) -> None:
    while True:
        recent.take(parts.configuration.plan, parts.now_ns())
        await asyncio.sleep(EVERY_NS * NANO)


def _endpoint_route(
    endpoint: Endpoint, access: Access, parts: Parts, overview: Overview
) -> DeclaredRoute:
    async def answer(request: Request) -> Response:
        access.check_token(endpoint.role, request.headers)
        if endpoint.find is not None:
            endpoint.find(parts, request.path_params)
        body = await _body(request, endpoint) if endpoint.method != "GET" else None
        result = await endpoint.call(
            Call(
                parts,
                overview,
                request.path_params,
                request.query_params,
                request.headers,
                body,
            )
        )
        if isinstance(result, Response):
            return result
        content = msgspec.json.encode(result)
        return Response(content, endpoint.status, media_type="application/json")

    return DeclaredRoute(endpoint.path, answer, endpoint.method, endpoint.role)


def _constant_route(path: str, content: bytes, access: Access) -> DeclaredRoute:
    async def answer(request: Request) -> Response:
        access.check_token(Role.READ, request.headers)
        return Response(content, media_type="application/json")

    return DeclaredRoute(path, answer, "GET", Role.READ)


def _page_route(path: str, name: str, media_type: str) -> DeclaredRoute:
    content = (STATIC / name).read_bytes()

    async def answer(_request: Request) -> Response:
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

    return DeclaredRoute(path, answer, "GET", Role.PUBLIC)


async def _body(request: Request, endpoint: Endpoint) -> Any:
    """The body as the type the endpoint takes; an empty one is `{}`.

    Why the content type is checked: a form of another site can send text without asking
    first, but not `application/json`.
    """
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MAX_BODY_BYTES:
            raise Fault(413, "body_too_large", "The body is larger than 4 MiB.")
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in endpoint.media_types:
        raise Fault(415, "not_json", "Send `content-type: application/json`.")
    if endpoint.takes is None:
        return None
    if endpoint.is_raw:
        return bytes(content)
    try:
        return msgspec.json.decode(bytes(content) or b"{}", type=endpoint.takes)
    except msgspec.ValidationError as error:
        # Why cut: the sentence may name a key of the body, and that may be long.
        why = str(error)[:_LONGEST_REASON]
        raise Fault(400, "bad_body", f"The body is not what this path takes: {why}.") from None
    except (msgspec.DecodeError, RecursionError):
        raise Fault(400, "bad_body", "The body is not JSON.") from None
