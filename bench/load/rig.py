"""The rig: which core does what, and the processes that are started and ended.

The proxy has the first core to itself; the backend, the stream origin and the generator
share the second, and so does the benchmark. With four cores or more they have all but
the first two, which leaves the second to a second worker. Everything listens on ports of
127.0.0.1 that the kernel chose. Each process leads a group of its own, ended as a whole.

A proxy's files are on the disk of this tree, under build/, as the state of a gateway would
be: where temporary files are may be memory. They go when the proxy does.
"""

import os
import resource
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from bench.load import accounting, answers, bodies
from bench.load.peers import ROOT, Peer, absence, locate, located

CONFIGS = Path(__file__).parent / "configs"
FILES = ROOT / "build" / "bench"
BACKENDS = 8
FULL_CORES = 4
SPARE_FILES = 100
TOOLS = {"nginx": "nginx-light", "wrk": "wrk", "taskset": "util-linux"}  # and their packages


class Unavailable(Exception):
    """A peer that could not be measured; the message is the sentence to print."""


class Cores(Struct, frozen=True):
    """Who runs where, as taskset's lists."""

    proxy: str
    pair: str  # a proxy with two workers
    load: tuple[int, ...]

    @property
    def load_list(self) -> str:
        """Taskset's list of the cores of backend, origin and generator."""
        return ",".join(map(str, self.load))


def cores_among(usable: Sequence[int]) -> Cores:
    """The split of the usable cores; raises ValueError when there is only one."""
    cores = sorted(usable)
    if len(cores) < FULL_CORES:
        if len(cores) == 1:
            raise ValueError("the benchmark needs two cores: one for the proxy, one for the load")
        return Cores(str(cores[0]), str(cores[0]), (cores[1],))
    return Cores(str(cores[0]), f"{cores[0]},{cores[1]}", tuple(cores[2:]))


class Running(Struct, frozen=True, kw_only=True):
    """A started proxy."""

    peer: Peer
    pid: int
    port: int
    stream_port: int
    workers: int = 1
    scratch: Path = Path()  # its files

    @property
    def name(self) -> str:
        """The name in a sample: two workers are another proxy."""
        return self.peer.name if self.workers == 1 else f"{self.peer.name} x{self.workers}"

    def traffic_pids(self) -> list[int]:
        """The processes that carry traffic."""
        pids = accounting.family(self.pid)
        if not self.peer.worker:
            return pids
        # The supervisor's own command line may name its workers; it carries no traffic.
        return [pid for pid in pids[1:] if self.peer.worker in accounting.command_line(pid)]

    def shipper_pids(self) -> list[int]:
        """The processes that ship the prediction log; none where nothing is recorded."""
        pattern = self.peer.shipper
        pids = accounting.family(self.pid)[1:] if pattern else []
        return [pid for pid in pids if pattern in accounting.command_line(pid)]

    def control_pids(self) -> list[int]:
        """The other processes: supervisor, controller."""
        others = {*self.traffic_pids(), *self.shipper_pids()}
        return [pid for pid in accounting.family(self.pid) if pid not in others]


class Rig(Struct, frozen=True):
    """The fixed part of every scenario: backend, origin, and a folder for files."""

    cores: Cores
    scratch: Path
    backends: tuple[int, ...]  # ports
    origin: int  # port

    def body_file(self, body: bytes) -> Path:
        """A file that holds a request's body, for wrk."""
        path = self.scratch / f"body-{len(body)}-{abs(hash(body))}"
        path.write_bytes(body)
        return path


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that were free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def require_tools() -> None:
    """Raises Unavailable with a sentence that names what the rig itself lacks."""
    lacking = [name for name in TOOLS if located(name) is None]
    if lacking:
        packages = " ".join(TOOLS[name] for name in lacking)
        raise Unavailable(f"the benchmark needs {', '.join(lacking)}: apt-get install {packages}")


def raise_open_files(wanted: int = 200_000) -> int:
    """The limit on open files, raised as far as we may; children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for ceiling in (max(wanted, hard), hard):
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, ceiling))
            return ceiling
    return soft


def open_files() -> int:
    """The limit on open files as it is."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@contextmanager
def started(
    command: list[str], cores: str, log: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process group pinned to the cores, its output in a log file; ended on leaving."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", cores, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | (environment or {}),
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], patience_s: float = 5.0) -> None:
    """Asks the process to end, then ends what is left of its group."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience_s)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_words(log: Path) -> str:
    """The last line a process printed."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return next((line[:160] for line in reversed(lines) if line), "no output")


def await_answer(process: subprocess.Popen[bytes], ask: answers.Ask, patience_s: float) -> None:
    """Returns once the request is answered; raises Unavailable when that never happens."""
    deadline = time.monotonic() + patience_s
    reason = "no answer"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Unavailable(f"it ended with status {process.returncode}")
        try:
            status, body = answers.fetch(ask)
        except OSError as error:
            reason = str(error)
        else:
            if status == answers.OK:
                return
            reason = f"status {status}: {body[:80]!r}"
        time.sleep(0.1)
    raise Unavailable(f"not ready after {patience_s:.0f} s ({reason})")


@contextmanager
def rig(cores: Cores) -> Iterator[Rig]:
    """Backend and origin, started and answering."""
    require_tools()
    ports = free_ports(BACKENDS + 1)
    scratch = Path(tempfile.mkdtemp(prefix="gateway-bench-"))
    made = Rig(cores, scratch, tuple(ports[:BACKENDS]), ports[BACKENDS])
    try:
        with backend(made) as first, origin(made) as second:
            await_answer(first, answers.Ask(made.backends[0], bodies.chat_request()), 5)
            await_answer(second, answers.Ask(made.origin, bodies.stream_request(3, 100)), 5)
            yield made
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def backend(made: Rig) -> Iterator[subprocess.Popen[bytes]]:
    """One fixed answer on eight ports, from nginx."""
    listens = "\n".join(f"        listen 127.0.0.1:{port} backlog=4096;" for port in made.backends)
    places = {
        "SCRATCH": str(made.scratch),
        "LISTENS": listens,
        "ANSWER": bodies.ANSWER.decode(),
    }
    config = fill(CONFIGS / "backend.conf", made.scratch / "backend.conf", places)
    command = [str(located("nginx")), "-p", str(made.scratch), "-c", str(config)]
    with started(command, made.cores.load_list, made.scratch / "backend.out") as process:
        yield process


@contextmanager
def origin(made: Rig) -> Iterator[subprocess.Popen[bytes]]:
    """The stream origin."""
    command = [sys.executable, "-m", "bench.load.origin", "--port", str(made.origin)]
    environment = {"PYTHONPATH": str(ROOT)}
    log = made.scratch / "origin.out"
    with started(command, made.cores.load_list, log, environment) as process:
        yield process


def fill(template: Path, target: Path, places: dict[str, str]) -> Path:
    """The template with its places filled in, written to the target."""
    target.write_text(string.Template(template.read_text()).substitute(places))
    return target


@contextmanager
def proxy(made: Rig, peer: Peer, workers: int = 1) -> Iterator[Running]:
    """The peer, started and answering; raises Unavailable with a sentence otherwise."""
    program = locate(peer)
    if program is None:
        raise Unavailable(absence(peer))
    port, stream_port, admin = free_ports(3)
    stream_port = port if peer.has_one_port else stream_port
    cores = made.cores.proxy if workers == 1 else made.cores.pair
    with folder_of(peer) as scratch:
        places = places_of(made, scratch, (port, stream_port, admin), workers) | peer.settings
        command = [str(program), *command_of(peer, scratch, places)]
        with started(command, cores, scratch / "output", peer.environment) as process:
            await_start(process, peer, port, scratch / "output")
            yield Running(
                peer=peer,
                pid=process.pid,
                port=port,
                stream_port=stream_port,
                workers=workers,
                scratch=scratch,
            )


@contextmanager
def folder_of(peer: Peer) -> Iterator[Path]:
    """An empty folder for a proxy's files, removed with all that is in it."""
    FILES.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{peer.name}-", dir=FILES))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def await_start(process: subprocess.Popen[bytes], peer: Peer, port: int, log: Path) -> None:
    """Returns once the proxy answers; raises Unavailable with its own last words otherwise."""
    try:
        await_answer(process, answers.Ask(port, bodies.chat_request()), peer.start_s)
    except Unavailable as failure:
        sentence = f"{peer.name} did not start: {failure}; it said: {last_words(log)}"
        raise Unavailable(sentence) from None


def places_of(
    made: Rig, scratch: Path, ports: tuple[int, int, int], workers: int
) -> dict[str, str]:
    """What a peer's configuration may name."""
    named = {f"BACKEND_{number}": str(each) for number, each in enumerate(made.backends, 1)}
    return named | {
        "PORT": str(ports[0]),
        "STREAM_PORT": str(ports[1]),
        "ADMIN_PORT": str(ports[2]),
        "ORIGIN": str(made.origin),
        "WORKERS": str(workers),
        "SCRATCH": str(scratch),
        "OPEN_FILES": str(open_files()),
        "MAX_CONNECTIONS": str(min(40_000, (open_files() - SPARE_FILES) // 2)),
        "KEY": bodies.KEY,
    }


def command_of(peer: Peer, scratch: Path, places: dict[str, str]) -> list[str]:
    """The peer's arguments, its configuration written first."""
    config = ""
    if peer.template:
        config = str(fill(peer.template, scratch / peer.template.name, places))
    names = {
        "config": config,
        "scratch": str(scratch),
        "port": places["PORT"],
        "admin": places["ADMIN_PORT"],
        "backend_1": places["BACKEND_1"],
    }
    return [argument.format(**names) for argument in peer.arguments]
