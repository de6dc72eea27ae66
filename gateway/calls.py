"""Calls to other servers over HTTP/1.1, for parts that ask or tell one thing now and then.

One connection, for as many exchanges as are wanted, closed when the time is up.

Rule 1: everything is bounded: all the exchanges together in time, each answer in size.
Rule 2: redirects are not followed, so what a request holds goes to the named server only.
Rule 3: no sentence holds more of the URL than host and port, or text of an answer.

Cost: blocks; call it in a thread. Knows nothing of what is asked.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from gateway.errors import GatewayError

MAX_ANSWER_BYTES = 1 << 20


class CallError(GatewayError):
    """The server did not answer."""

    reason = "call"


class AnswerTooLong(CallError):
    """It answered with more than was asked for."""


class Answer(Struct, frozen=True):
    """What the server said."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    content: bytes


def place_of(url: str) -> SplitResult | None:
    """A http or https URL taken apart; None if it is none."""
    try:
        place = urlsplit(url)
        is_good = place.scheme in {"http", "https"} and place.hostname and place.port != 0
    except ValueError:
        return None
    return place if is_good else None


class Call:
    """One connection, entered for the time of its use.

    Why a timer: the timeouts of sockets are for each read; a server that sends a byte a
    second would never run into one.
    """

    def __init__(
        self,
        place: SplitResult,
        timeout_s: float,
        *,
        server: str = "",
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self._place, self._timeout_s = place, timeout_s
        self._server = server or f"the server at {place.netloc.rpartition('@')[2]}"
        self._max_answer_bytes = max_answer_bytes
        self._is_late = False
        self._connection = _connection(place, timeout_s)
        self._timer = threading.Timer(timeout_s, self._give_up)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        self._timer.join()
        self._connection.close()

    def exchange(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> Answer:
        """The answer; CallError says why there is none."""
        try:
            self._connection.request(method, target, content, dict(headers))
            return self._answer()
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            # Why the last two: what http.client says when its socket is shut under its hands.
            raise CallError(self._why(error)) from None

    def _answer(self) -> Answer:
        response = self._connection.getresponse()
        content = response.read(self._max_answer_bytes + 1)
        if len(content) > self._max_answer_bytes:
            raise AnswerTooLong(f"{self._server} answered with more than {_said(len(content) - 1)}")
        if response.length:  # Why: a read of so many bytes does not tell that it was cut short
            raise http.client.IncompleteRead(content, response.length)
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, content)

    def _give_up(self) -> None:
        self._is_late = True
        if (opened := self._connection.sock) is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(opened, socket.SHUT_RDWR)  # Why not its own: TLS would talk

    def _why(self, error: Exception) -> str:
        if self._is_late or isinstance(error, TimeoutError):
            return f"{self._server} did not answer within {self._timeout_s:g} s"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the certificate of {self._server} cannot be verified"
        said = error.strerror if isinstance(error, OSError) else None
        return f"{self._server} does not answer ({said or type(error).__name__})"


def _connection(place: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    host = place.hostname or ""
    if place.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, place.port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(host, place.port, timeout=timeout_s)


def _said(size_bytes: int) -> str:
    mebibyte, kibibyte = 1 << 20, 1 << 10
    is_large = size_bytes >= mebibyte
    return f"{size_bytes // mebibyte} MiB" if is_large else f"{size_bytes // kibibyte} KiB"
