"""What a route of the admin port is: how it is declared, and what its function gets.

`api` has the table of all; a module with many of its own declares them beside their
functions, and `api` takes them in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from gateway.control.access import Role
from gateway.control.overview import Overview
from gateway.control.parts import Parts

API = "/api/v1"
MAX_BODY_BYTES = 4 << 20


class Call(Struct, frozen=True):
    """One request, decoded."""

    parts: Parts
    overview: Overview
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any = None  # of the type that the endpoint takes


class Endpoint(Struct, frozen=True, kw_only=True):
    """One route of the admin port."""

    method: str
    path: str
    role: Role
    call: Callable[[Call], Awaitable[Any]]
    says: str  # one sentence, for the documentation
    takes: Any = None  # type of the body
    answers: Any = None  # type of the body; None: not JSON
    status: int = 200
    media_types: tuple[str, ...] = ("application/json",)  # of the body
    is_raw: bool = False  # the function gets the body's bytes; `takes` is for the documentation
    query: Mapping[str, str] = {}  # parameters and what they mean
    find: Callable[[Parts, Mapping[str, str]], None] | None = None  # Fault if the path names none


def read(
    path: str,
    call: Callable[[Call], Awaitable[Any]],
    answers: Any,
    says: str,
    **more: Any,
) -> Endpoint:
    """One that shows something; `more` are further fields of an Endpoint."""
    return Endpoint(
        method="GET",
        path=f"{API}{path}",
        role=Role.READ,
        call=call,
        answers=answers,
        says=says,
        **more,
    )


def change(
    path: str, call: Callable[[Call], Awaitable[Any]], takes: Any, answers: Any, says: str
) -> Endpoint:
    """One that changes something."""
    return Endpoint(
        method="POST",
        path=f"{API}{path}",
        role=Role.OPERATE,
        call=call,
        takes=takes,
        answers=answers,
        says=says,
    )
