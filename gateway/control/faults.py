"""Errors of the admin API: `{"error": {"code", "message"}}`, one sentence each.

Rule: no error holds a traceback, a secret or text of the request; an unknown key is named.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import ConfigError, ControlError, GatewayError, Problem, StateError

_SENTENCES = {404: "There is nothing at this path.", 405: "This path does not allow the method."}


class Error(Struct, frozen=True):
    """What went wrong."""

    code: str  # one token, for programs
    message: str  # one sentence, for people
    problems: tuple[Problem, ...] = ()  # of a configuration: each with its path and line


class ErrorBody(Struct, frozen=True):
    """The body of every answer that is an error."""

    error: Error


class Fault(Exception):
    """A request that cannot be answered as asked."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body = ErrorBody(Error(code, message, problems))


def fault_of(error: Exception) -> Fault:
    """Any exception as a Fault; what is not ours is `internal`, and logged by the server."""
    match error:
        case Fault():
            return error
        case HTTPException():
            sentence = _SENTENCES.get(error.status_code, "The request is not valid.")
            code = {404: "no_path", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
            return Fault(error.status_code, code, sentence, error.headers)
        case ConfigError():
            count = len(error.problems)
            noun = "a problem" if count == 1 else f"{count} problems"
            sentence = f"The configuration has {noun}; the one in force is unchanged."
            return Fault(422, error.reason, sentence, problems=error.problems)
        case StateError():
            return Fault(409, error.reason, str(error))
        case ControlError():
            return Fault(error.status, error.reason, str(error))
        case GatewayError():
            return Fault(500, error.reason, str(error))
    return Fault(500, "internal", "The control plane failed; its log says why.")


def fault_response(fault: Fault) -> Response:
    """The answer for a Fault."""
    return Response(
        msgspec.json.encode(fault.body), fault.status, fault.headers, "application/json"
    )


async def on_error(_request: Request, error: Exception) -> Response:
    """Starlette's exception handler for all of them."""
    return fault_response(fault_of(error))
