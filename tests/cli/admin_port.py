"""A real admin port over fakes, for the verbs to talk to."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Any

import msgspec
import pytest
import uvicorn

from gateway.cli import VERBS
from gateway.cli.verbs import run
from gateway.control.app import create_app
from tests.control.parts import FakeGateway


def exit_code(*arguments: str) -> int:
    """Runs a verb."""
    with pytest.raises(SystemExit) as caught:
        run([*arguments], VERBS)
    assert isinstance(caught.value.code, int)
    return caught.value.code


class AdminPort:
    """Serves while it is entered; gives its URL."""

    def __init__(self, token: str = "", **parts: Any) -> None:
        self.gateway = FakeGateway(token=token)
        self.gateway.parts = msgspec.structs.replace(self.gateway.parts, **parts)
        config = uvicorn.Config(create_app(self.gateway.parts), log_config=None, lifespan="on")
        self._server = uvicorn.Server(config)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
