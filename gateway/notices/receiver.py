"""One webhook of `notices`: which notices it wants, and how they are brought to it.

Rule: it never waits and never fails; `courier` has the queue, `post` the call.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from msgspec import Struct

from gateway.config.notice_relations import SEVERITIES
from gateway.config.rollouts import Webhook
from gateway.notices.bodies import body_of
from gateway.notices.courier import FIRST_PAUSE_S, MOST_WAITING, Courier, Parcel
from gateway.notices.notice import Notice, severity_of
from gateway.notices.post import Post, place_in_words
from gateway.telemetry import NANO


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
        url = webhook.url.reveal()
        self._courier = Courier(
            place_in_words(url),
            Post(url, webhook.secret.reveal(), timeout_s, now_s=now_s),
            attempts=attempts,
            first_pause_s=first_pause_s,
            most_waiting=most_waiting,
        )

    @property
    def place(self) -> str:
        """Host and port."""
        return self._courier.place

    @property
    def is_idle(self) -> bool:
        return self._courier.is_idle

    @property
    def is_failing(self) -> bool:
        return bool(self._courier.error)

    def tell(self, notice: Notice) -> None:
        """Queue it, if this webhook wants to know."""
        if not self._wants(notice):
            return
        key = str(uuid.uuid4())
        body = body_of(notice, self.webhook.format, key)
        parcel = Parcel(key=key, event=notice.event, about=notice.rollout, body=body)
        self._courier.put(parcel)

    async def run(self) -> None:
        """Until it is cancelled."""
        await self._courier.run()

    def figures(self) -> ReceiverFigures:
        return figures_of(self._courier, self.webhook.format)

    def _wants(self, notice: Notice) -> bool:
        events, least = self.webhook.events, self.webhook.severity
        is_enough = SEVERITIES.index(severity_of(notice)) >= SEVERITIES.index(least)
        return is_enough and (not events or notice.event in events)


def figures_of(courier: Courier, form: str) -> ReceiverFigures:
    return ReceiverFigures(
        place=courier.place,
        format=form,
        told=courier.told,
        given_up=courier.given_up,
        dropped=courier.dropped,
        waiting=courier.waiting,
        error=courier.error,
    )


def receiver_of(webhook: Webhook, timeout_ns: int, attempts: int) -> Receiver:
    """As configured."""
    return Receiver(webhook, timeout_s=timeout_ns * NANO, attempts=attempts)
