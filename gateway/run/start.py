"""Starts the gateway: everything that can be wrong is found here, before a process is started.

Descriptors that children inherit: the board (memfd), one listening socket a worker, the
Unix socket all workers share, the admin socket. They stay open as long as this process
lives.

Rule: what is wrong is one sentence (GatewayError), and nothing was started.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import logging
import os
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway._fast import Board
from gateway.certificates import server_context
from gateway.compiler import CELL_CAPACITY, ROW_CAPACITY, compile_plan
from gateway.config import Config, Document, load, parse
from gateway.config.document import state_directory
from gateway.errors import ConfigError, StateError
from gateway.log.names import DIRECTORY as LOG_DIRECTORY
from gateway.messages import Delivery, Offer
from gateway.offers import FILE_NAME, keep_offer, offer_of
from gateway.plan import Plan
from gateway.run.child import RETIRE, ControllerPost, ShipperPost, WorkerPost, command, seats_of
from gateway.sockets import address_of, tcp_sockets, unix_socket
from gateway.state.directory import prepared
from gateway.state.last_good import load_delivery, load_last_good, store_delivery, store_last_good
from gateway.supervisor import Post, Supervisor, notify_systemd
from gateway.telemetry import set_up_logging

GRACE_S = 5.0  # beyond what a worker allows itself, before it is killed
ADMIN_BACKLOG = 128
LONGEST_SOCKET_PATH = 100  # sun_path holds 104 to 108 bytes, by platform
NANO = 1e-9

log = logging.getLogger(__name__)


class Wish(Struct, frozen=True, kw_only=True):
    """What the user asked for on the command line."""

    file: Path
    log_format: str = "text"
    log_level: str = "info"
    use_last_good: bool = False  # where the file is not valid


class Ground(Struct, frozen=True, kw_only=True):
    """What all processes stand on."""

    wish: Wish
    workers: int
    board: Board
    data: list[socket.socket]  # one a worker
    shared: list[socket.socket]  # accepted on by all workers
    admin: socket.socket
    state: Path
    plan: Path
    control: Path
    data_url: str


def serve(wish: Wish, environ: Mapping[str, str]) -> int:
    """Run the gateway until it is told to end; the exit code."""
    set_up_logging(wish.log_format, wish.log_level)
    document = document_of(wish, environ)
    for warning in document.warnings:
        log.warning("configuration: %s", warning)
    with _ground(wish, document) as ground:
        _announce(ground, document)
        return _supervisor(ground, document.config, environ).run()


def document_of(wish: Wish, environ: Mapping[str, str]) -> Document:
    """The configuration to start on; ConfigError where there is none."""
    try:
        return load(wish.file, environ)
    except ConfigError as error:
        kept = load_last_good(state_directory(wish.file, environ)) if wish.use_last_good else None
        if kept is None:
            raise
        log.error(
            "starting on the last good configuration: %s", "; ".join(map(str, error.problems))
        )
        return parse(kept, environ)


@contextlib.contextmanager
def _ground(wish: Wish, document: Document) -> Iterator[Ground]:
    config = document.config
    delivery, plan = delivered(document)
    if config.listen.tls:
        server_context(config.listen.tls)
    workers = config.workers or cores()
    with contextlib.ExitStack() as stack:
        run = _run_directory(Path(config.state), stack)
        data, shared, admin = _sockets(config, workers, stack)
        offer = offer_of(document, plan, 1, delivery)
        _keep(run, Path(config.state), offer)
        yield Ground(
            wish=wish,
            workers=workers,
            # Why twice: during a rolling restart a worker and its successor both serve, and
            # each part of the board has one writer.
            board=Board.create(2 * workers, ROW_CAPACITY, CELL_CAPACITY),
            data=data,
            shared=shared,
            admin=admin,
            state=Path(config.state),
            plan=run / FILE_NAME,
            control=_socket_path(run, stack),
            data_url=_url_of(data[0], is_secure=config.listen.tls is not None),
        )


def delivered(document: Document) -> tuple[Delivery, Plan]:
    """Where rollouts and switches stood when the gateway ended, and the plan that this makes.

    What cannot stand any more with this configuration is left, loudly: champions serve.
    """
    delivery = load_delivery(Path(document.config.state))
    try:
        return delivery, compile_plan(document, delivery=delivery)
    except ConfigError as error:
        log.error("starting with no rollout under way: %s", "; ".join(map(str, error.problems)))
    rest = msgspec.structs.replace(delivery, specs={}, rollouts={})
    return rest, compile_plan(document, delivery=rest)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _run_directory(state: Path, stack: contextlib.ExitStack) -> Path:
    """`state/run`, ours alone until the stack is left."""
    run = prepared(state) / "run"
    try:
        run.mkdir(mode=0o700, exist_ok=True)
        # Why here: whoever of the processes comes first would make it with its parents' mode.
        (state / LOG_DIRECTORY).mkdir(mode=0o700, exist_ok=True)
        lock = stack.enter_context((run / "lock").open("a"))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StateError(f"another gateway uses the state directory {state}") from None
    except OSError as error:
        raise StateError(f"cannot write to the state directory {state}: {error.strerror}") from None
    return run


def _keep(run: Path, state: Path, offer: Offer) -> None:
    keep_offer(run / FILE_NAME, offer)
    store_last_good(state, offer.text)
    store_delivery(state, offer.delivery)


def _sockets(
    config: Config, workers: int, stack: contextlib.ExitStack
) -> tuple[list[socket.socket], list[socket.socket], socket.socket]:
    listen, admin = config.listen, config.admin
    data = tcp_sockets(listen.host, listen.port, listen.backlog, workers)
    for each in data:
        stack.callback(each.close)
    shared = []
    if listen.unix:
        path = Path(listen.unix)
        shared.append(unix_socket(path, listen.backlog))
        stack.callback(path.unlink, missing_ok=True)
        stack.callback(shared[0].close)
    (control_port,) = tcp_sockets(admin.host, admin.port, ADMIN_BACKLOG, 1)
    stack.callback(control_port.close)
    return data, shared, control_port


def _socket_path(run: Path, stack: contextlib.ExitStack) -> Path:
    """Where the controller listens for workers; a private place if the path would be too long."""
    path = run.absolute() / "control.sock"
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        private = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-")))
        path = private / "control.sock"
    stack.callback(path.unlink, missing_ok=True)  # Why: a controller that was killed left it
    return path


def _url_of(listener: socket.socket, *, is_secure: bool) -> str:
    host, port = listener.getsockname()[:2]
    named = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"{'https' if is_secure else 'http'}://{named}:{port}"


def _announce(ground: Ground, document: Document) -> None:
    where = ",".join(address_of(each) for each in (ground.data[0], *ground.shared))
    log.info(
        "gateway starts",
        extra={
            "data": where,
            "admin": address_of(ground.admin),
            "workers": ground.workers,
            "plan": document.hash[:12],
            "pid": os.getpid(),
        },
    )


def _supervisor(ground: Ground, config: Config, environ: Mapping[str, str]) -> Supervisor:
    drain_s = (int(config.drain.lame_duck) + int(config.drain.hard_stop)) * NANO
    notify = functools.partial(notify_systemd, address=environ.get("NOTIFY_SOCKET", ""))
    return Supervisor(
        _posts(ground, config),
        hard_stop_s=drain_s + GRACE_S,
        clear_seat=functools.partial(_clear_seat, ground.board),
        notify=notify,
    )


def _posts(ground: Ground, config: Config) -> list[Post]:
    workers = [_worker(ground, slot) for slot in range(ground.workers)]
    shippers = [_shipper(ground)] if config.log.enabled else []
    return [*workers, *shippers, _controller(ground)]


def _clear_seat(board: Board, seat: int) -> None:
    """Why: what a dead process had under way will never be counted down by it."""
    board.clear_worker_gauges(seat)
    board.take_seat(seat, 0)


def _worker(ground: Ground, slot: int) -> Post:
    data = tuple(each.fileno() for each in ground.data)
    listen = (data[slot], *(each.fileno() for each in ground.shared))
    post = WorkerPost(
        slot=slot,
        seat=slot,
        board=ground.board.fd,
        ready=-1,
        listen=listen,
        data=data,
        plan=ground.plan,
        control=ground.control,
        supervisor=os.getpid(),
        log_format=ground.wish.log_format,
        log_level=ground.wish.log_level,
    )
    return Post(
        name=f"worker-{slot}",
        command=lambda seat, ready: command(msgspec.structs.replace(post, seat=seat, ready=ready)),
        fds=(ground.board.fd, *{*listen, *data}),
        seats=seats_of(slot, ground.workers),
        retires_by=RETIRE,
    )


def _shipper(ground: Ground) -> Post:
    post = ShipperPost(
        ready=-1,
        plan=ground.plan,
        supervisor=os.getpid(),
        log_format=ground.wish.log_format,
        log_level=ground.wish.log_level,
    )
    return Post(
        name="shipper",
        command=lambda _seat, ready: command(msgspec.structs.replace(post, ready=ready)),
        rolls=False,  # Why: there is one at a time, and nobody waits for it
        ends_in_turn=2,  # so that it ships what workers and the controller write when they end
        is_born_deaf=True,  # so that it does, too, where it is told to end while it starts
        is_awaited=False,
    )


def _controller(ground: Ground) -> Post:
    post = ControllerPost(
        board=ground.board.fd,
        ready=-1,
        listen=(ground.admin.fileno(),),
        config=ground.wish.file,
        plan=ground.plan,
        control=ground.control,
        state=ground.state,
        data_url=ground.data_url,
        slots=ground.workers,
        supervisor=os.getpid(),
        started_ns=time.monotonic_ns(),
        log_format=ground.wish.log_format,
        log_level=ground.wish.log_level,
    )
    return Post(
        name="controller",
        command=lambda _seat, ready: command(msgspec.structs.replace(post, ready=ready)),
        fds=(ground.board.fd, *post.listen),
        takes_hangup=True,
        rolls=False,
        ends_in_turn=1,
    )
