"""The gateway under test: the real processes, or its data plane alone in a thread.

`GatewayProcess` runs `python -m gateway serve` as a user would; `GatewayThread` runs
one worker's data plane in this process, which starts in milliseconds and can be stepped
(`settle`). Both have the same face, so most tests do not care which they get.

Rule 1: stopping is a test too: exit code 0, no traceback in the log, nothing left over.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from gateway._fast import Board
from gateway.compiler import CELL_CAPACITY, ROW_CAPACITY, compile_plan, places_of
from gateway.config import Document, parse
from gateway.dataplane.worker import DataPlane
from tests.support.loops import LoopThread
from tests.support.raw_client import RawClient
from tests.support.settings import Settings, free_port, text_of
from tests.support.waiting import until

READY_S = 20.0
STOP_S = 20.0
ADMIN_S = 20.0  # a busy machine may keep a controller from its answer
ROOT = Path(__file__).parents[2]


class Gateway:
    """What tests know of a gateway, however it runs."""

    address: tuple[str, int] = ("127.0.0.1", 0)

    @property
    def base_url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}"

    def connect(self, **more: Any) -> RawClient:
        return RawClient(self.address, **more)

    def settle(self) -> None:
        """Return when what was sent so far has been read, as far as one can know."""
        raise NotImplementedError

    def apply(self, settings: Settings) -> None:
        """Put another configuration in force."""
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class GatewayThread(Gateway):
    """One worker's data plane on a loop of its own."""

    def __init__(
        self,
        settings: Settings,
        *,
        environ: dict[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._environ = environ or {}
        self._folder = tempfile.TemporaryDirectory()
        self.plan = compile_plan(self._parsed(settings))
        self.board = Board.create(1, ROW_CAPACITY, CELL_CAPACITY)
        self.loop = LoopThread("gateway").start()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address = self._socket.getsockname()[:2]
        self.plane: DataPlane
        try:
            self.loop.run(self._start(tls))
        except BaseException:
            self._socket.close()
            self.loop.stop()
            self._folder.cleanup()
            raise

    def _parsed(self, settings: Settings) -> Document:
        """The settings with a state folder that goes with the gateway."""
        return parse(text_of({"state": self._folder.name, **_in_haste(settings)}), self._environ)

    async def _start(self, tls: ssl.SSLContext | None) -> None:
        self.plane = DataPlane(self.plan, board=self.board, slot=0, tls=tls)
        await self.plane.serve([self._socket])

    def settle(self) -> None:
        self.loop.settle()

    def apply(self, settings: Settings) -> None:
        self.plan = compile_plan(self._parsed(settings), places=places_of(self.plan))
        self.loop.run(self._apply())

    async def _apply(self) -> None:
        self.plane.apply(self.plan)

    def stop(self) -> None:
        self.loop.run(self.plane.drain())
        self._socket.close()
        self.loop.stop()
        self._folder.cleanup()


class GatewayProcess(Gateway):
    """`gateway serve` and all its processes."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        *,
        environ: dict[str, str] | None = None,
        files: int = 0,  # descriptors each process may open; 0 as the system says
    ) -> None:
        self._files = files
        self.folder = folder
        self.config = folder / "gateway.yaml"
        self.log_path = folder / "gateway.log"
        self._environ = {**os.environ, **(environ or {}), "PYTHONUNBUFFERED": "1"}
        self.scheme = "https" if settings.get("listen", {}).get("tls") else "http"
        for attempt in range(3):
            self.settings = self._completed(settings)
            self._write(self.settings)
            self.launch()
            with contextlib.suppress(PortTaken):
                self._await_ready()
                return
            assert attempt < 2, f"no free port: {self.log()}"

    def _completed(self, settings: Settings) -> Settings:
        """The settings with ports of this machine's choice and a state folder."""
        listen = {"host": "127.0.0.1", "port": free_port(), **settings.get("listen", {})}
        admin = {"host": "127.0.0.1", "port": free_port(), **settings.get("admin", {})}
        self.address = (listen["host"], listen["port"])
        self.admin_address = (admin["host"], admin["port"])
        state = str(self.folder / "state")
        return {**_in_haste(settings), "listen": listen, "admin": admin, "state": state}

    def _write(self, settings: Settings) -> None:
        """Replace the file in one step, as an editor or a deployment does."""
        fresh = self.config.with_suffix(".new")
        fresh.write_text(text_of(settings))
        fresh.replace(self.config)

    def launch(self) -> None:
        """Start it, once more if need be, on the file as it is."""
        command = [sys.executable, "-m", "gateway", "serve", "-c", str(self.config)]
        if self._files:
            limited = f'ulimit -n {self._files}; exec "$@"'
            command = ["/bin/sh", "-c", limited, "sh", *command]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, env=self._environ
            )

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while self.readiness() != 200:
            if self.process.poll() is not None:
                if "in use" in self.log():
                    raise PortTaken
                raise AssertionError(f"it ended with {self.process.returncode}: {self.log()}")
            assert time.monotonic() < deadline, f"not ready in time: {self.log()}"
            time.sleep(0.02)

    def readiness(self) -> int:
        """The status of /readyz; 0 when nobody answers."""
        try:
            if self.scheme == "https":
                with socket.create_connection(self.address, 1):
                    return 200
            connection = http.client.HTTPConnection(*self.address, timeout=1)
            with contextlib.closing(connection):
                connection.request("GET", "/readyz")
                return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def settle(self) -> None:
        time.sleep(0.002)

    def apply(self, settings: Settings) -> None:
        """Write the file, send SIGHUP, and wait until every worker runs on it."""
        fixed = {key: self.settings[key] for key in ("listen", "admin", "drain", "state")}
        self.settings = {**_in_haste(settings), **fixed}
        wanted = parse(text_of(self.settings), self._environ).hash
        self._write(self.settings)
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.plan_hash() == wanted, 10.0, self.log)

    def admin(self, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self.admin_address, timeout=ADMIN_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def plan_hash(self) -> str:
        """The hash of the plan that every worker runs on; empty while they differ."""
        status, body = self.admin("/api/v1/workers")
        workers = json.loads(body) if status == 200 else []
        hashes = {worker["plan"] if worker["is_up"] else "" for worker in workers}
        return hashes.pop() if len(hashes) == 1 else ""

    def children(self) -> dict[int, str]:
        """Its processes, by pid, with their command lines."""
        return dict(_children(self.process.pid))

    def workers(self) -> list[int]:
        return [pid for pid, line in self.children().items() if " gateway worker " in line]

    def controller(self) -> int:
        return next(pid for pid, line in self.children().items() if " gateway controller " in line)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end in {STOP_S} s: {self.log()}") from None
        assert code == 0, f"it ended with {code}: {self.log()}"
        assert "Traceback" not in self.log(), self.log()


def _in_haste(settings: Settings) -> Settings:
    """The settings with a drain that does not wait, unless they say otherwise.

    Nor does the shipper stand back: where tests fill the cores, each gateway's end would wait
    until it is killed.
    """
    drain = {"lame_duck": "0s", "hard_stop": "3s", **settings.get("drain", {})}
    return {**settings, "drain": drain, "log": {"niceness": 0, **settings.get("log", {})}}


class PortTaken(Exception):
    """Somebody was quicker; another port will do."""


def _children(parent: int) -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent and fields[0] != "Z":
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    yield int(entry.name), line
