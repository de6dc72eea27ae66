"""The shipper process: brings the prediction log from its files to its sinks.

It starts from the offer in the file, as a worker does, and looks at the file for another one;
it has no part in the link. Without it requests are served and recorded as ever; what is
written waits on disk.

Rule 1: it never ends as misconfigured: a sink that cannot be made is told and shown in
        metrics, and the gateway serves.
Rule 2: SIGTERM comes when workers and controller have ended; what they wrote last is shipped, for
        FLUSH_S at most. It is blocked until we can do so, however early it comes.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import uvloop

from gateway.config import Config, Duration
from gateway.errors import GatewayError
from gateway.log.figures import FILE_NAME
from gateway.offers import kept_offer, plan_of
from gateway.plan import Plan
from gateway.run.background import background
from gateway.run.child import ShipperPost, keep_memory, post_of, say_ready, settle_in
from gateway.run.counting import WATCH, watch_sink, watched_of
from gateway.shipper.shipper import Shipper, sole
from gateway.shipper.sinks import Wanted, made_sink, tend_store, wanted_of
from gateway.shipper.upkeep import Rules
from gateway.telemetry import set_up_logging
from gateway.threads import in_thread

LOOK_S = 0.5
FLUSH_S = 5.0
TEND_S = 60.0
FAILED = 1
NANO = 1e-9

log = logging.getLogger(__name__)


def shipper_main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Ship until told to end; the exit code."""
    post: ShipperPost = post_of(ShipperPost, arguments)
    settle_in(post.supervisor)
    set_up_logging(post.log_format, post.log_level)
    spare_memory(environ)
    try:
        uvloop.run(ShipperProcess(post, environ).run())
    except GatewayError as error:
        log.error("shipper cannot start: %s", error)
        return FAILED
    return 0


def spare_memory(environ: Mapping[str, str]) -> None:
    """Batches come and go in the same memory, and what was loaded is not looked through."""
    keep_memory(environ)
    # Why: what is alive now lives as long as the process; the collector need not look.
    gc.freeze()


class ShipperProcess:
    """The shipper, and the configuration that it follows."""

    def __init__(self, post: ShipperPost, environ: Mapping[str, str]) -> None:
        self._post, self._environ = post, environ
        self._offer = kept_offer(post.plan)
        self._wanted: Mapping[str, object] = {}
        self._made: Wanted | None = None

    async def run(self) -> None:
        """The whole life of the shipper."""
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        document, plan = plan_of(self._offer, self._environ)
        os.nice(document.config.log.niceness)
        directory, figures = Path(plan.log.directory), self._post.plan.with_name(FILE_NAME)
        with sole(directory):
            shipper = Shipper(directory, rules_of(document.config, plan), figures=figures)
            await self._use(shipper, document.config, plan)
            async with background(self._follow(shipper), self._tend()):
                say_ready(self._post.ready)
                await shipper.run(ended, FLUSH_S)
            await shipper.close()

    async def _follow(self, shipper: Shipper) -> None:
        """Look for another offer, and ship by it."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look(shipper)
            except GatewayError as error:
                log.error("the shipper goes on with the configuration it has: %s", error)
            except Exception:  # Why: the next change must find someone who looks
                log.exception("following the configuration failed by a defect")

    async def _tend(self) -> None:
        """The store's own upkeep, now and then."""
        problem = ""
        while True:
            await asyncio.sleep(TEND_S)
            if self._made is None or "store" not in self._wanted:
                continue
            try:
                await in_thread(functools.partial(tend_store, self._made), name="store-upkeep")
            except (GatewayError, ImportError) as error:
                if str(error) != problem:
                    log.error("upkeep of the store: %s", error)
                problem = str(error)
            except Exception:  # Why: the store would grow for ever
                log.exception("upkeep of the store failed by a defect")

    async def _look(self, shipper: Shipper) -> None:
        offer = kept_offer(self._post.plan)
        if offer.generation == self._offer.generation and offer.hash == self._offer.hash:
            return
        self._offer = offer
        compiled = functools.partial(plan_of, offer, self._environ)
        document, plan = await in_thread(compiled, name="compiler")
        shipper.follow(rules_of(document.config, plan))
        await self._use(shipper, document.config, plan)

    async def _use(self, shipper: Shipper, config: Config, plan: Plan) -> None:
        """Make the sinks that are new or changed; the others stay as they are."""
        wanted = wanted_of(config.log) | watched_of(config)
        kept = {name for name, value in wanted.items() if self._wanted.get(name) == value}
        self._made = made = Wanted(
            config.log, plan.log.gateway, Path(config.state), Path(plan.log.directory)
        )
        sinks = {
            name: watch_sink(config, made) if name == WATCH else made_sink(name, made)
            for name in wanted.keys() - kept
        }
        self._wanted = wanted
        await shipper.use(sinks, kept=frozenset(kept))


def rules_of(config: Config, plan: Plan) -> Rules:
    """What the configuration says of the files."""
    is_timed = config.log.sync not in {"none", "always"}
    return Rules(
        max_bytes=plan.log.max_bytes,
        drops_oldest=not plan.log.sheds,
        sync_s=int(Duration.parse(config.log.sync)) * NANO if is_timed else 0.0,
    )
