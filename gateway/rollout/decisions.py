"""The decision log: what was decided, by whom, on what evidence; chained by hashes.

`gateway.chain` says how: an entry that was changed, taken out or put in shows. Entries are
added, and never changed or deleted.

Knows nothing of where entries are kept; `state.rollouts` keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.chain import NOTHING as NOTHING
from gateway.chain import canonical, hash_of
from gateway.errors import GatewayError
from gateway.rollout.counts import Period
from gateway.rollout.machine import Event, Phase
from gateway.rollout.verdict import Judgement
from gateway.state.rollouts import KeptDecision


class DecisionsError(GatewayError):
    """The decision log is not as it was written."""

    reason = "decisions"


class Decision(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry: enough to find the same verdict again."""

    n: int = 0  # from 1, without gaps, over all rollouts
    rollout: str
    revision: int
    at_ms: int  # what `judge` was told; milliseconds since 1970
    actor: str  # `desk`, `file`, `api:…`, a name
    event: Event
    sentence: str
    phase: Phase
    step: int
    weights: dict[str, int] = {}  # from now on
    judgement: Judgement | None = None  # of a look; None: a person's word, or the file's
    periods: tuple[Period, ...] = ()  # the evidence it is made of
    spec_hash: str = ""
    spec: str = ""  # the rollout as declared, with defaults: `parse_rollout` reads it
    plan_before: str = ""  # hash of the plan in force when it was decided
    versions: dict[str, str] = {}  # of the gateway, and of the backends of the arms
    # of `delivered` alone
    of: int = 0  # n of the decision that is in force now
    plan_after: str = ""
    propagation_ms: float | None = None  # from the verdict to the last worker's word


Entry = KeptDecision  # a decision as it is kept


def sealed(decision: Decision, n: int, prev: str) -> Entry:
    """The decision as entry number `n`, behind the one whose hash is given."""
    text = canonical(replace(decision, n=n))
    return Entry(
        n=n,
        rollout=decision.rollout,
        at_ms=decision.at_ms,
        event=decision.event,
        text=text,
        hash=hash_of(prev, text),
    )


def opened(entry: Entry) -> Decision:
    """The decision of an entry; DecisionsError where it is none of this program."""
    try:
        return msgspec.json.decode(entry.text, type=Decision)
    except msgspec.DecodeError as error:
        raise DecisionsError(
            f"entry {entry.n} of the decision log is unreadable: {error}"
        ) from None


def verify(entries: Iterable[Entry], n: int = 0, prev: str = NOTHING) -> tuple[int, str]:
    """Number and hash of the last entry; DecisionsError at the first that does not fit.

    `n` and `prev` are of the entry before the first; by default the log is whole.
    """
    for entry in entries:
        if entry.n != n + 1:
            raise DecisionsError(f"the decision log has no entry {n + 1}: it was taken out")
        if entry.hash != hash_of(prev, entry.text):
            raise DecisionsError(f"entry {entry.n} of the decision log was changed")
        said = opened(entry)
        if (said.n, said.rollout, said.at_ms, said.event) != (
            entry.n,
            entry.rollout,
            entry.at_ms,
            entry.event,
        ):
            raise DecisionsError(f"entry {entry.n} of the decision log is filed under another name")
        n, prev = entry.n, entry.hash
    return n, prev


def exported(entries: Iterable[Entry]) -> Iterator[str]:
    """Lines of JSON; `imported` reads them back, byte for byte."""
    for entry in entries:
        yield msgspec.json.encode(entry).decode() + "\n"


def imported(lines: Iterable[str | bytes]) -> Iterator[Entry]:
    for number, line in enumerate(lines, 1):
        try:
            yield msgspec.json.decode(line, type=Entry)
        except msgspec.DecodeError as error:
            raise DecisionsError(f"line {number} is no entry of a decision log: {error}") from None
