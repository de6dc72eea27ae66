"""The controller process: admin port, link to the workers, file watch, SIGHUP.

It starts from the offer in the file, which is what the workers serve on, so that a
controller that was lost comes back to where things are; a configuration file that was
changed meanwhile is then loaded as any other change.

Rule: nothing here is needed to serve requests.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from gateway._fast import Board, Candidates
from gateway.control.app import create_app
from gateway.control.explain import LiveExplainer, PathNeeds
from gateway.control.figures import BoardSource, BoardView
from gateway.control.parts import Parts, Worker
from gateway.control.records_search import searches_in
from gateway.errors import ConfigError, GatewayError
from gateway.explanation.archive import lookup_in
from gateway.link import LinkServer, Peer
from gateway.log.figures import FILE_NAME as FIGURES
from gateway.log.figures import LogFigures, read_figures
from gateway.offers import kept_offer
from gateway.plan import Plan, RoutePlan
from gateway.protocols import BY_NAME
from gateway.reload import FileWatch, Reload
from gateway.run.alerts import alerts_of
from gateway.run.asgi_server import AsgiServer
from gateway.run.background import background
from gateway.run.child import ControllerPost, post_of, say_ready, settle_in
from gateway.run.counting import counted_lines
from gateway.run.drift import LiveDrift
from gateway.run.drift_reports import LiveReports
from gateway.run.feedback import ControllerLog
from gateway.run.flags import LiveFlags
from gateway.run.performance import LivePerformance
from gateway.run.production import LiveProduction
from gateway.run.rollouts import LiveRollouts
from gateway.state.database import open_database
from gateway.state.history import ConfigHistory
from gateway.supervisor import MISCONFIGURED
from gateway.telemetry import set_up_logging

LOOK_S = 0.5
NANO = 1e-9

log = logging.getLogger(__name__)


def controller_main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Control until told to end; the exit code."""
    post: ControllerPost = post_of(ControllerPost, arguments)
    settle_in(post.supervisor)
    set_up_logging(post.log_format, post.log_level)
    try:
        asyncio.run(_run(post, environ))
    except GatewayError as error:
        log.error("controller cannot start: %s", error)
        return MISCONFIGURED
    return 0


async def _run(post: ControllerPost, environ: Mapping[str, str]) -> None:
    board, link = Board.attach(post.board), LinkServer(post.control)
    database = open_database(post.state)
    history = ConfigHistory(database)
    reload = Reload(
        kept_offer(post.plan),
        file=post.config,
        kept_at=post.plan,
        state=post.state,
        environ=environ,
        carrier=link,
        history=history,
    )
    feedback = ControllerLog(lambda: reload.plan)
    production = production_of(post, board, reload, history, environ)
    admin, view = reload.document.config.admin, BoardView(cast("BoardSource", board))
    rollouts = LiveRollouts(post.state, database, reload, view, post.started_ns)
    alerts = alerts_of(database, reload, rollouts.desk)
    performance = LivePerformance(post.state, reload, alerts)

    def log_figures() -> LogFigures | None:
        return read_figures(post.plan.with_name(FIGURES), time.time())

    drift = LiveDrift(post.state, reload, alerts, log_figures)
    app = create_app(
        Parts(
            configuration=reload,
            workers=Processes(link, board, post.slots, post.supervisor),
            explainer=explainer_of(reload, board, view),
            board=view,
            host=admin.host,
            token=admin.token,
            started_ns=post.started_ns,
            data_url=post.data_url,
            feedback=feedback,
            flags=LiveFlags(lambda: reload.plan).answer,
            redact=feedback.redact,
            production=production.in_force,
            records=lookup_in(post.state),
            searches=searches_in(post.state),
            drift_lines=lambda: counted_lines(post.state),
            log_figures=log_figures,
            alerts=alerts,
            watch=lambda: drift.standing,
            drift=LiveReports(post.state, reload),
            performance=performance,
            rollouts=rollouts.desk,
            webhooks=rollouts.notices.figures,
        )
    )
    server = AsgiServer(app, on_started=lambda: say_ready(post.ready))
    hangups = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, server.end)
    loop.add_signal_handler(signal.SIGHUP, hangups.set)
    work = [watch(post.config, reload), follow(hangups, reload), feedback.follow()]
    work += [production.warm(), production.follow()]
    work += [rollouts.run(), rollouts.follow_log(), rollouts.notices.run(), alerts.run()]
    work += [performance.run(), drift.run()]
    async with link.listening(), background(*work):
        reload.start()
        await server.serve([socket.socket(fileno=each) for each in post.listen])


def production_of(
    post: ControllerPost,
    board: Board,
    reload: Reload,
    history: ConfigHistory,
    environ: Mapping[str, str],
) -> LiveProduction:
    """What is in production, with a view of the board of its own: it is asked in threads."""
    view = BoardView(cast("BoardSource", board))
    started_at_s = time.time() - (time.monotonic_ns() - post.started_ns) * NANO
    return LiveProduction(post.state, history, reload, view, environ, started_at_s)


def explainer_of(reload: Reload, board: Board, view: BoardView) -> LiveExplainer:
    """Explains with the same compiled candidates that choose for the workers."""

    def chooser_of(plan: Plan, route: RoutePlan) -> Candidates:
        cells = [backend.cell for backend in plan.backends]
        return Candidates(route, plan.backends, board, cells)

    return LiveExplainer(
        reload,
        view,
        chooser_of=chooser_of,
        needs_of_path=needs_of_path,
        now_ns=time.monotonic_ns,
    )


def needs_of_path(protocol: str, path: str) -> PathNeeds | None:
    """What the operation behind a path needs; None where there is none."""
    found = BY_NAME[protocol].resolve("POST", path) or BY_NAME[protocol].resolve("GET", path)
    if found is None:
        return None
    operation, _model = found
    return PathNeeds(operation.capability, operation.is_generation)


async def watch(file: Path, reload: Reload) -> None:
    """Reload when the file has changed, be it before this process was there."""
    file_watch = FileWatch(file)
    if not reload.is_file_in_force():
        await _reload(reload, "file")
    while True:
        await asyncio.sleep(LOOK_S)
        if file_watch.look():
            await _reload(reload, "file")


async def follow(hangups: asyncio.Event, reload: Reload) -> None:
    """Reload on each SIGHUP."""
    while True:
        await hangups.wait()
        hangups.clear()
        await _reload(reload, "signal")


async def _reload(reload: Reload, author: str) -> None:
    try:
        await reload.reload(author)
    except ConfigError:
        pass  # it was logged and written down where it was refused
    except Exception:  # Why: the next change must find someone who looks
        log.exception("reload failed by a defect")


class Processes:
    """The gateway's processes, as the control plane asks for them."""

    def __init__(self, link: LinkServer, board: Board, slots: int, supervisor: int) -> None:
        self._link, self._board = link, board
        self._slots, self._supervisor = slots, supervisor
        self._is_told_to_end = False

    @property
    def is_draining(self) -> bool:
        peers = self._link.peers
        return self._is_told_to_end or bool(peers and all(each.is_draining for each in peers))

    def seats(self) -> list[Worker]:
        return [self._seat(slot) for slot in range(self._slots)]

    def processes(self) -> dict[str, int]:
        workers = {f"worker-{slot}": self._peer(slot) for slot in range(self._slots)}
        pids = {name: peer.hello.pid for name, peer in workers.items() if peer}
        return {"supervisor": self._supervisor, "controller": os.getpid()} | pids

    def drain(self) -> None:
        """The whole gateway ends, as by SIGTERM."""
        self._is_told_to_end = True
        os.kill(self._supervisor, signal.SIGTERM)

    def _peer(self, slot: int) -> Peer | None:
        """Who serves this slot: the one that came last, unless it is about to go."""
        there = [peer for peer in self._link.peers if peer.hello.slot == slot]
        return next((each for each in reversed(there) if not each.is_draining), None)

    def _seat(self, slot: int) -> Worker:
        peer = self._peer(slot)
        if peer is None:
            return Worker(slot, 0, is_up=False, plan="", is_current=False, heartbeat_age_s=0.0)
        beat_ns = self._board.read_seat(peer.hello.seat)["heartbeat_ns"]
        offer = self._link.in_force
        return Worker(
            slot,
            peer.hello.pid,
            is_up=True,
            plan=peer.hash,
            is_current=offer is not None and peer.generation == offer.generation,
            heartbeat_age_s=max(0.0, (time.monotonic_ns() - beat_ns) * NANO) if beat_ns else 0.0,
        )
