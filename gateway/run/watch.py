"""The member of a consumer group that watches: its parts, put together; `gateway drift watch`.

It has no part in the gateway's processes and needs none of them: brokers, the configuration
file, and, to tell what it finds, the admin port of a gateway.
"""

from __future__ import annotations

import asyncio
import functools
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from urllib.parse import SplitResult

import msgspec
import uvloop
from aiokafka.errors import KafkaError

from gateway.alerts.finding import Look
from gateway.brokers import Brokers
from gateway.calls import Call, CallError, place_of
from gateway.config import Config
from gateway.errors import ConfigError, Problem
from gateway.run.member_metrics import listening_on, served
from gateway.sockets import address_of
from gateway.threads import in_thread
from gateway.watch.basis import DIRECTORY
from gateway.watch.changes import Sample
from gateway.watch.examples import Ring
from gateway.watch.group.member import Member
from gateway.watch.group.watcher import Watcher
from gateway.watch.looks import Looker
from gateway.watch.quarantine import Quarantine
from gateway.watch.tally import ASIDE

CALL_S = 10.0
RETRY_S, LONGEST_S = 1.0, 30.0
SAY_S = 1.0  # how often a change is said …
REPEAT_S = 60.0  # … and how often what did not change
LOOKS = "/api/v1/alerts/looks"

Say = Callable[[str], None]


def watch(
    config: Config,
    state: Path,
    admin: str,
    environ: Mapping[str, str],
    say: Say,
    metrics: str = "",
) -> None:
    """Watch until SIGTERM or SIGINT; `admin` "" tells nobody, `metrics` "" serves none."""
    check(config, admin)
    listeners = listening_on(metrics) if metrics else []
    if listeners:
        say(f"metrics on http://{address_of(listeners[0])}/metrics")
    uvloop.run(_watch(config, state, admin, environ, say, listeners))


def check(config: Config, admin: str) -> None:
    """ConfigError where there is nothing to watch, or nothing to watch it with."""
    drift = config.drift
    if drift.consumer.source != "kafka":
        raise _wrong(
            "the gateway itself reads the log; for a consumer group say `source: kafka`",
            "drift.consumer.source",
        )
    if config.log.kafka is None:
        raise _wrong("nothing says where the brokers are", "log.kafka")
    if not drift.enabled or not any(rule.reference for rule in drift.rules.values()):
        raise _wrong("no rule has a reference, so there is nothing to count", "drift.rules")
    if admin and place_of(admin) is None:
        raise _wrong("--admin wants a URL such as http://127.0.0.1:8081", "")


def _wrong(sentence: str, path: str) -> ConfigError:
    return ConfigError((Problem(sentence, path),))


async def _watch(
    config: Config,
    state: Path,
    admin: str,
    environ: Mapping[str, str],
    say: Say,
    listeners: list[socket.socket],
) -> None:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.set_exception_handler(_unheard)
    place, kafka, ring = place_of(admin), config.log.kafka, Ring()
    assert kafka is not None, "checked"  # noqa: S101
    watcher = Watcher(
        Brokers(kafka),
        config.drift,
        tuple(config.routes),
        bases=state / DIRECTORY,
        looker=lambda bases, kept: Looker(config.drift, bases, examples=ring, state=kept),
        recent=ring.add,
        aside=_aside_in(state),
        tell=Teller(place, environ.get("GATEWAY_ADMIN_TOKEN", ""), say).tell if place else None,
    )
    saying = asyncio.create_task(_say_changes(watcher, say))
    try:
        async with served(watcher, listeners):
            await watcher.run(ended)
    finally:
        saying.cancel()
    say(line_of(watcher.member, watcher) + "; ended")


def _unheard(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Why: a producer that is fenced fails futures inside of it that nobody can ask."""
    if not isinstance(context.get("exception"), KafkaError):
        loop.default_exception_handler(context)


def _aside_in(state: Path) -> Callable[[Sequence[Sample]], None]:
    quarantine = Quarantine((state / DIRECTORY).parent)

    def aside(samples: Sequence[Sample]) -> None:
        quarantine.put(samples, datetime.now(UTC).isoformat(timespec="seconds"))

    return aside


class Teller:
    """Brings looks to a gateway's admin port."""

    def __init__(
        self, place: SplitResult, token: str, say: Say, *, retry_s: float = RETRY_S
    ) -> None:
        self._place, self._token, self._say, self._retry_s = place, token, say, retry_s

    async def tell(self, look: Look) -> None:
        """Return when it has arrived, or was refused; a gateway that is away is waited for."""
        pause_s = self._retry_s
        while True:
            try:
                await in_thread(functools.partial(self._post, look), name="look")
            except CallError as error:
                self._say(f"cannot tell what was found: {error}")
            else:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_S, 2 * pause_s)

    def _post(self, look: Look) -> None:
        headers = {"content-type": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        target = self._place.path.rstrip("/") + LOOKS
        with Call(self._place, CALL_S, server="the admin port") as call:
            answer = call.exchange("POST", target, headers, msgspec.json.encode(look))
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise CallError(f"the admin port answered {answer.status}")
        if answer.status >= HTTPStatus.BAD_REQUEST:
            what = f"a look of {look.rule or 'no rule'} at {look.route}"
            self._say(f"the admin port refused {what}: {answer.status}{_sentence(answer.content)}")


def _sentence(content: bytes) -> str:
    try:
        return f", {msgspec.json.decode(content)['error']['message']}"
    except (msgspec.MsgspecError, KeyError, TypeError):
        return ""


async def _say_changes(watcher: Watcher, say: Say) -> None:
    """A line when something else is true than before, and now and then."""
    said: tuple[object, ...] = ()
    said_at = 0.0
    while True:
        await asyncio.sleep(SAY_S)
        member, now = watcher.member, time.monotonic()
        state = (member.status.partitions, member.status.sentence, watcher.sentence, member.leads)
        if state != said or now - said_at >= REPEAT_S:
            said, said_at = state, now
            say(line_of(member, watcher))


def line_of(member: Member, watcher: Watcher) -> str:
    """What a member is doing, in one line."""
    status = member.status
    parts = [f"{len(status.partitions)} of {status.of} partitions"]
    parts.append(f"{status.lines:,} records counted, {status.lag:,} behind")
    aside = {name: count for name, count in status.told.items() if name in ASIDE}
    if aside:
        what = ", ".join(f"{count:,} {name}" for name, count in sorted(aside.items()))
        parts.append(f"put aside: {what}")
    if status.lost:
        parts.append(f"{status.lost:,} were gone before they were read")
    if member.leads or watcher.looks:
        parts.append(f"{'leads, ' if member.leads else ''}{watcher.looks:,} looks told")
    if watcher.bases.learning:
        parts.append("learns the fields of " + ", ".join(watcher.bases.learning))
    problems = (*watcher.bases.problems, *watcher.unpinned.values())
    parts += filter(None, (status.sentence, watcher.sentence, *problems))
    return "; ".join(parts)
