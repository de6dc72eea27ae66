"""One webhook: a bounded queue, and the task that empties it in order.

    next notice → call, again with longer and longer pauses → told, or given up

Rule 1: `tell` puts into the queue or drops the oldest of it; it never waits.
Rule 2: one call at a time, in a thread of its own that the time limit ends; a receiver that
        is slow or dead holds up its own queue only.
Rule 3: what the receiver will never take (a 4xx other than 408, 425 and 429, a redirect) is
        given up at once; everything else after `attempts`.
Rule 4: what goes wrong is one sentence in the log when it begins and one when it is over;
        of the URL it has host and port only, since the rest of it may be the secret.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from gateway.calls import Call, CallError, place_of
from gateway.config.notice_relations import SEVERITIES
from gateway.config.rollouts import Webhook
from gateway.notices.bodies import body_of
from gateway.notices.notice import Notice, severity_of
from gateway.notices.signature import HEADER, signature
from gateway.telemetry import NANO
from gateway.threads import in_thread

MOST_WAITING = 256
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
MAX_ANSWER_BYTES = 16 << 10
_PASSING = frozenset({408, 425, 429})

log = logging.getLogger(__name__)


class ReceiverFigures(Struct, frozen=True, kw_only=True):
    """How one webhook is doing."""

    place: str  # host and port; the rest of the URL may be a secret
    format: str
    told: int  # notices that it took
    given_up: int  # that it did not take, however often they were offered
    dropped: int  # that did not fit into the queue any more
    waiting: int
    error: str = ""  # why the last call failed; "" it did not


class Receiver:
    """Tells one webhook; `run` is its life."""

    def __init__(
        self,
        webhook: Webhook,
        *,
        timeout_s: float,
        attempts: int,
        first_pause_s: float = FIRST_PAUSE_S,
        most_waiting: int = MOST_WAITING,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.webhook = webhook
        self.timeout_s, self.attempts = timeout_s, attempts
        self._first_pause_s, self._most_waiting = first_pause_s, most_waiting
        self._now_s = now_s
        self._place = place_of(webhook.url.reveal())
        self._queue: deque[tuple[Notice, str]] = deque()
        self._news, self._is_busy = asyncio.Event(), False
        self._told = self._given_up = self._dropped = 0
        self._error = ""

    @property
    def place(self) -> str:
        """Host and port."""
        return self._place.netloc.rpartition("@")[2] if self._place else "(no URL)"

    @property
    def is_idle(self) -> bool:
        return not self._queue and not self._is_busy

    @property
    def is_failing(self) -> bool:
        return bool(self._error)

    def tell(self, notice: Notice) -> None:
        """Queue it, if this webhook wants to know."""
        if not self._wants(notice):
            return
        if len(self._queue) >= self._most_waiting:
            self._queue.popleft()  # Why the oldest: where a rollout is now matters more
            self._dropped += 1
        self._queue.append((notice, str(uuid.uuid4())))
        self._news.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self._news.clear()
            while self._queue:
                self._is_busy = True
                try:
                    await self._deliver(*self._queue.popleft())
                except Exception:  # Why: this webhook would be told nothing any more
                    self._given_up += 1
                    log.exception("telling a webhook failed by a defect")
                finally:
                    self._is_busy = False
            await self._news.wait()

    def figures(self) -> ReceiverFigures:
        return ReceiverFigures(
            place=self.place,
            format=self.webhook.format,
            told=self._told,
            given_up=self._given_up,
            dropped=self._dropped,
            waiting=len(self._queue) + self._is_busy,
            error=self._error,
        )

    def _wants(self, notice: Notice) -> bool:
        events, least = self.webhook.events, self.webhook.severity
        is_enough = SEVERITIES.index(severity_of(notice)) >= SEVERITIES.index(least)
        return is_enough and (not events or notice.event in events)

    async def _deliver(self, notice: Notice, key: str) -> None:
        body = body_of(notice, self.webhook.format, key)
        pause_s = self._first_pause_s
        for attempt in range(1, self.attempts + 1):
            outcome = await in_thread(lambda: self._call(body, notice.event, key), name="notice")
            if outcome.is_told:
                return self._succeeded()
            self._failed(outcome.sentence)
            if outcome.is_final or attempt == self.attempts:
                break
            # Why random: receivers that come back are not met by all gateways at once.
            await asyncio.sleep(max(outcome.wait_s, pause_s * random.uniform(0.5, 1.0)))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        self._given_up += 1
        log.error("a notice was given up: %s", self._error, extra={"rollout": notice.rollout})
        return None

    def _succeeded(self) -> None:
        self._told += 1
        if self._error:
            log.info("webhook takes notices again", extra={"webhook": self.place})
        self._error = ""

    def _failed(self, sentence: str) -> None:
        if not self._error:
            log.warning("webhook takes no notices: %s", sentence)
        self._error = sentence

    def _call(self, body: bytes, event: str, key: str) -> _Outcome:
        """One call; in a thread, so it changes nothing here."""
        place = self._place
        if place is None:
            return _Outcome(is_final=True, sentence="the URL of the webhook is none")
        target = (place.path or "/") + (f"?{place.query}" if place.query else "")
        server = f"the webhook at {self.place}"
        try:
            with Call(
                place, self.timeout_s, server=server, max_answer_bytes=MAX_ANSWER_BYTES
            ) as call:
                answer = call.exchange("POST", target, self._headers(body, event, key), body)
        except CallError as error:
            return _Outcome(sentence=str(error))
        return _outcome_of(server, answer.status, answer.headers.get("retry-after", ""))

    def _headers(self, body: bytes, event: str, key: str) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "user-agent": "inference-gateway",
            "x-gateway-event": event,
            "x-gateway-delivery": key,
        }
        if secret := self.webhook.secret.reveal():
            headers[HEADER] = signature(secret, int(self._now_s()), body)
        return headers


class _Outcome(Struct, frozen=True, kw_only=True):
    """What became of one call."""

    is_told: bool = False
    is_final: bool = False  # another call would end the same way
    sentence: str = ""
    wait_s: float = 0.0  # what the receiver asked for


def _outcome_of(server: str, status: int, retry_after: str) -> _Outcome:
    if 200 <= status < 300:
        return _Outcome(is_told=True)
    if 300 <= status < 400:
        why = f"{server} redirects (HTTP {status}), which is not followed; configure where to"
        return _Outcome(is_final=True, sentence=why)
    is_digits = retry_after.isascii() and retry_after.isdecimal()
    wait_s = min(float(retry_after[:6]), LONGEST_PAUSE_S) if is_digits else 0.0
    is_final = 400 <= status < 500 and status not in _PASSING
    return _Outcome(
        is_final=is_final, sentence=f"{server} answered with HTTP {status}", wait_s=wait_s
    )


def receiver_of(webhook: Webhook, timeout_ns: int, attempts: int) -> Receiver:
    """As configured."""
    return Receiver(webhook, timeout_s=timeout_ns * NANO, attempts=attempts)
