"""The log of what alerts did: who asked for what, and what became of it; chained by hashes.

Rule: what is done is written down before, and again with its outcome; entries are never changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.chain import NOTHING, canonical, hash_of
from gateway.errors import GatewayError
from gateway.state.alerts import KeptDeed

Action = Literal[
    "silence",
    "resolve",
    "retrain",
    "rollout",
    "switch_off",
    "switch_on",
    "weights",
    "payload",
    "take_back",
]
Result = Literal["asked", "done", "refused", "failed"]


class DeedsError(GatewayError):
    """The log is not as it was written."""

    reason = "deeds"


class Deed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry."""

    n: int = 0  # from 1, without gaps
    alert: int
    at_ms: int
    actor: str  # `rule:NAME`, `api:NAME`
    action: Action
    target: str = ""  # name of a retraining, a rollout, a switch; weights, payload
    result: Result
    sentence: str = ""


def sealed(deed: Deed, n: int, prev: str) -> KeptDeed:
    text = canonical(replace(deed, n=n))
    return KeptDeed(n=n, alert=deed.alert, text=text, hash=hash_of(prev or NOTHING, text))


def opened(kept: KeptDeed) -> Deed:
    return msgspec.json.decode(kept.text, type=Deed)


def verify(entries: Iterable[KeptDeed], n: int = 0, prev: str = NOTHING) -> int:
    """Number of the last entry; DeedsError at the first that does not fit."""
    for entry in entries:
        if entry.n != n + 1:
            raise DeedsError(f"the log of actions has no entry {n + 1}: it was taken out")
        if entry.hash != hash_of(prev, entry.text) or opened(entry).n != entry.n:
            raise DeedsError(f"entry {entry.n} of the log of actions was changed")
        n, prev = entry.n, entry.hash
    return n
