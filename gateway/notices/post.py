"""One call of a webhook: signed where there is a secret, bounded in time, never redirected.

Rule: of the URL, sentences have host and port only, since the rest of it may be the secret.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import SplitResult

from gateway.calls import Call, CallError, place_of
from gateway.notices.courier import LONGEST_PAUSE_S, Outcome, Parcel
from gateway.notices.signature import HEADER, signature
from gateway.threads import in_thread

MAX_ANSWER_BYTES = 16 << 10
_PASSING = frozenset({408, 425, 429})


def place_in_words(url: str) -> str:
    """Host and port."""
    place = place_of(url)
    return place.netloc.rpartition("@")[2] if place else "(no URL)"


class Post:
    """POST to one URL; an instance is what a courier sends with."""

    def __init__(
        self,
        url: str,
        secret: str,
        timeout_s: float,
        *,
        path: str = "",
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """`path` is where to, for a URL without any."""
        self._place, self._words = place_of(url), place_in_words(url)
        self._secret, self._timeout_s, self._now_s = secret, timeout_s, now_s
        self._path = path or "/"

    async def __call__(self, parcel: Parcel) -> Outcome:
        return await in_thread(lambda: self._call(parcel), name="notice")

    def _call(self, parcel: Parcel) -> Outcome:
        """In a thread, so it changes nothing here."""
        place = self._place
        if place is None:
            return Outcome(is_final=True, sentence="the URL of the webhook is none")
        server = f"the webhook at {self._words}"
        try:
            with Call(
                place, self._timeout_s, server=server, max_answer_bytes=MAX_ANSWER_BYTES
            ) as call:
                answer = call.exchange(
                    "POST", self._target(place), self._headers(parcel), parcel.body
                )
        except CallError as error:
            return Outcome(sentence=str(error))
        return _outcome_of(server, answer.status, answer.headers.get("retry-after", ""))

    def _target(self, place: SplitResult) -> str:
        path = place.path if place.path not in {"", "/"} else self._path
        return path + (f"?{place.query}" if place.query else "")

    def _headers(self, parcel: Parcel) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "user-agent": "inference-gateway",
            "x-gateway-event": parcel.event,
            "x-gateway-delivery": parcel.key,
        }
        if self._secret:
            headers[HEADER] = signature(self._secret, int(self._now_s()), parcel.body)
        return headers


def _outcome_of(server: str, status: int, retry_after: str) -> Outcome:
    if 200 <= status < 300:
        return Outcome(is_told=True)
    if 300 <= status < 400:
        why = f"{server} redirects (HTTP {status}), which is not followed; configure where to"
        return Outcome(is_final=True, sentence=why)
    is_digits = retry_after.isascii() and retry_after.isdecimal()
    wait_s = min(float(retry_after[:6]), LONGEST_PAUSE_S) if is_digits else 0.0
    is_final = 400 <= status < 500 and status not in _PASSING
    return Outcome(
        is_final=is_final, sentence=f"{server} answered with HTTP {status}", wait_s=wait_s
    )
