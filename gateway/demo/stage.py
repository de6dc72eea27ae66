"""The demo's processes: the stand-in models and the real gateway, started and ended here.

Everything lies in a temporary directory, which goes with them. The gateway is a process
tree of its own (`python -m gateway serve`), told to drain at the end as anybody would.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import orjson
from msgspec import Struct

from gateway.demo.client import Client
from gateway.demo.models import BY_NAME, CHALLENGERS, Model
from gateway.errors import GatewayError

HOST = "127.0.0.1"
DATA_PORT = 8080  # where it is free; the admin port is the next one
READY_S, END_S = 30.0, 10.0
_LOOK_S = 0.05
_OK = 200

# Rule: what this text says is what the README shows; nothing in it is for demos only.
_CONFIG = """\
listen: {{host: {host}, port: {data_port}}}
admin: {{host: {host}, port: {admin_port}}}
workers: 2
state: {state}
log: {{segment: {{size: 1MiB, age: 5s}}}}
drain: {{lame_duck: 0s, hard_stop: 3s}}

defaults:
  timeout: {{connect: 500ms, first_byte: 5s}}
  breaker: {{consecutive: 3, open: 1s, open_max: 3s}}
  retry: {{attempts: 3}}

backends:
{backends}
routes:
  chat:
    backends: [thrifty, flaky, swift]
    policy: cheapest_within_slo
    slo: {{first_byte_p95: 800ms}}
    record: {{payload: full}}
  helpdesk:
    backends: [{{backend: flaky, weight: 70}}, {{backend: swift, weight: 30}}]
    policy: weighted
  story:
    backends: [narrator, swift]
  fraud:
    backends: [fraud-a, fraud-b]
    policy: least_loaded
    retry: {{attempts: 1}}

rollouts:
{rollouts}"""

_ROLLOUT = """\
  {name}:
    route: fraud
    arms: {{{name}: {{backends: [{name}]}}}}
    steps: [{{setWeight: 50}}, {{setWeight: 100}}]
    gates: [{{metric: errors, minimum: 20}}]
    minimum: {{time: 2s, samples: 40}}
    autostart: false
"""


class StageError(GatewayError):
    """The demo's processes do not run."""

    reason = "demo"


class Place(Struct, frozen=True, kw_only=True):
    """Where the gateway is."""

    data_port: int
    admin_port: int

    @property
    def data_url(self) -> str:
        return f"http://{HOST}:{self.data_port}"

    @property
    def admin_url(self) -> str:
        return f"http://{HOST}:{self.admin_port}"


class Stage:
    """What runs, once it runs."""

    def __init__(self, place: Place, models: asyncio.subprocess.Process) -> None:
        self.place = place
        self._models = models

    def kill(self, model: Model) -> None:
        """The model dies: its port closes, its connections are reset."""
        self._tell(f"down {model.name}\n")

    def revive(self, model: Model) -> None:
        self._tell(f"up {model.name}\n")

    def _tell(self, line: str) -> None:
        if self._models.stdin is not None:
            self._models.stdin.write(line.encode())


@contextlib.asynccontextmanager
async def staged(port: int = DATA_PORT) -> AsyncIterator[Stage]:
    """Everything runs within the block, and nothing is left after it."""
    with tempfile.TemporaryDirectory(prefix="gateway-demo-") as name:
        folder = Path(name)
        async with _models(folder / "models.log") as (models, ports):
            data_port = free_port(port)
            admin_port = free_port(port + 1 if port else 0, not_this=data_port)
            place = Place(data_port=data_port, admin_port=admin_port)
            config = folder / "gateway.yaml"
            config.write_text(config_text(place, folder / "state", ports))
            async with _gateway(config, folder / "gateway.log") as gateway:
                await _readiness(place, gateway, folder / "gateway.log")
                yield Stage(place, models)


def config_text(place: Place, state: Path, ports: Mapping[str, int]) -> str:
    """The gateway.yaml of the demo."""
    return _CONFIG.format(
        host=HOST,
        data_port=place.data_port,
        admin_port=place.admin_port,
        state=state,
        backends="".join(_backend(BY_NAME[name], port) for name, port in ports.items()),
        rollouts="".join(_ROLLOUT.format(name=name) for name in CHALLENGERS),
    )


def _backend(model: Model, port: int) -> str:
    price = f"{{input: {model.input_usd}, output: {model.output_usd}}}"
    lines = [
        f"  {model.name}:",
        f"    protocol: {model.protocol}",
        f"    url: http://{HOST}:{port}{'/v1' if model.protocol == 'openai' else ''}",
        f"    price: {price if model.output_usd else f'{{request: {model.request_usd:f}}}'}",
    ]
    if model.failing:
        lines.append("    breaker: {consecutive: 8, failure_share: 50%}")
    return "\n".join([*lines, ""])


def free_port(wanted: int, *, not_this: int = 0) -> int:
    """The port that is wanted, or any that is free."""
    for port in (wanted, 0, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            found: int = probe.getsockname()[1]
            if found != not_this:
                return found
    raise StageError("no port is free")


@contextlib.asynccontextmanager
async def _models(log: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, int]]]:
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.demo.server"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=out,
            process_group=0,  # Why: Ctrl-C is for the demo, which then ends its children
        )
    try:
        first = await process.stdout.readline() if process.stdout else b""
        if not first:
            raise StageError(f"the stand-in models did not start: {_last_line(log)}")
        yield process, orjson.loads(first)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await _ended(process)


@contextlib.asynccontextmanager
async def _gateway(config: Path, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "serve", "-c", str(config)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            process_group=0,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), END_S)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _readiness(place: Place, gateway: asyncio.subprocess.Process, log: Path) -> None:
    """Return when both ports answer."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + READY_S
    while not (await _is_ready(place.data_port) and await _is_ready(place.admin_port)):
        if gateway.returncode is not None:
            raise StageError(f"the gateway did not start: {_last_line(log)}")
        if loop.time() > deadline_s:
            raise StageError(f"the gateway was not ready within {READY_S:.0f} s")
        await asyncio.sleep(_LOOK_S)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


async def _is_ready(port: int) -> bool:
    async with Client(HOST, port) as client:
        with contextlib.suppress(OSError, EOFError, ValueError):
            return (await client.ask("/readyz")).status == _OK
    return False
