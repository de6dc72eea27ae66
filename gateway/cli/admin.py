"""The admin API as the verbs call it: where it is, the token, and sentences for what fails.

The token comes from GATEWAY_ADMIN_TOKEN alone, never from an argument, which other users
of the machine could read.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

import typer

from gateway.errors import GatewayError, Problem

DEFAULT_URL = "http://127.0.0.1:8081"
TOKEN_VARIABLE = "GATEWAY_ADMIN_TOKEN"  # noqa: S105  the variable's name
TIMEOUT_S = 10.0

AdminUrl = Annotated[
    str, typer.Option("--admin", envvar="GATEWAY_ADMIN_URL", help="Where the admin port is.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class AdminError(GatewayError):
    """The admin API is not there, or says no."""

    reason = "admin"

    def __init__(self, sentence: str, *, is_answer: bool = False) -> None:
        super().__init__(sentence)
        self.is_answer = is_answer  # a gateway's admin port said it


def ask(url: str, path: str, body: object = None, *, method: str = "") -> Any:
    """The decoded answer; POST where there is a body, unless the method is given."""
    status, answer = _asked(url, path, body, method)
    return _decoded(url, status, answer)


def ask_text(url: str, path: str) -> str:
    """The answer to a GET, where it is text."""
    status, answer = _asked(url, path, None, "GET")
    if status != http.client.OK:
        _decoded(url, status, answer)
    return answer.decode("utf-8", "replace")


def _asked(url: str, path: str, body: object, method: str) -> tuple[int, bytes]:
    place = urlsplit(url)
    if place.scheme not in {"http", "https"} or not place.hostname:
        raise AdminError(f"--admin wants a URL such as {DEFAULT_URL}")
    content = b"" if body is None else json.dumps(body).encode()
    method = method or ("GET" if body is None else "POST")
    try:
        return _exchange(place, method, path, content)
    except (OSError, http.client.HTTPException) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        raise AdminError(f"no gateway answers at {url} ({why}); is it running?") from None


def _exchange(place: SplitResult, method: str, path: str, content: bytes) -> tuple[int, bytes]:
    headers = {"content-type": "application/json", "accept": "application/json"}
    if token := os.environ.get(TOKEN_VARIABLE, ""):
        headers["authorization"] = f"Bearer {token}"
    connection = _connection(place)
    try:
        connection.request(method, place.path.rstrip("/") + path, content, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _connection(place: SplitResult) -> http.client.HTTPConnection:
    host = place.hostname or ""
    if place.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, place.port, timeout=TIMEOUT_S, context=context)
    return http.client.HTTPConnection(host, place.port, timeout=TIMEOUT_S)


def _decoded(url: str, status: int, answer: bytes) -> Any:
    try:
        decoded = json.loads(answer)
    except ValueError:
        raise AdminError(f"what answers at {url} is not a gateway's admin port") from None
    if status == http.client.UNAUTHORIZED:
        raise AdminError(f"the admin port wants its token: set {TOKEN_VARIABLE}", is_answer=True)
    if status >= http.client.BAD_REQUEST:
        sentence = _sentence(decoded) or f"the admin port answered {status}"
        raise AdminError(sentence, is_answer=True)
    return decoded


def _sentence(decoded: Any) -> str:
    """What it says, and each problem on a line of its own."""
    if isinstance(decoded, dict) and "errorDetails" in decoded:
        return str(decoded["errorDetails"])  # as OpenFeature's protocol has it
    error = decoded.get("error") if isinstance(decoded, dict) else None
    if not isinstance(error, dict):
        return ""
    problems = error.get("problems")
    found = [each for each in problems if isinstance(each, dict)] if problems else []
    return "\n  ".join([str(error.get("message", "")), *map(_problem, found)])


def _problem(said: dict[str, Any]) -> str:
    where, line = str(said.get("path", "")), said.get("line", 0)
    return str(Problem(str(said.get("message", "")), where, line if isinstance(line, int) else 0))
