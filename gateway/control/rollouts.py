"""`/api/v1/rollouts…`: what the desk shows, and what people say to it.

A verb answers with what the rollout is then.

Rule: nothing is decided here; who says something is written down as `api`, or
      `api:NAME` where a name was given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gateway.control.endpoint import Call, Endpoint, change, read
from gateway.control.faults import Fault
from gateway.control.parts import Rollouts
from gateway.control.rollout_views import (
    DecisionView,
    RolloutView,
    decision_view_of,
    view_of,
    views,
)
from gateway.notices.receiver import ReceiverFigures
from gateway.rollout.decisions import Decision, Entry

MOST_ENTRIES = 200

Author = Annotated[str, Meta(max_length=128)]
Reason = Annotated[str, Meta(max_length=1_000)]


class Said(Struct, frozen=True, forbid_unknown_fields=True):
    """Who says it."""

    author: Author = ""


class Beginning(Struct, frozen=True, forbid_unknown_fields=True):
    """A rollout of the file, or one that is declared here."""

    text: str = ""  # YAML of one rollout; "" it is in the file
    author: Author = ""


class Promotion(Struct, frozen=True, forbid_unknown_fields=True):
    """Past the present step, or to the end."""

    full: bool = False
    author: Author = ""


class Ending(Struct, frozen=True, forbid_unknown_fields=True):
    """Why it ends."""

    reason: Reason = ""
    author: Author = ""


async def list_rollouts(call: Call) -> tuple[RolloutView, ...]:
    return views(call.parts)


async def show_rollout(call: Call) -> RolloutView:
    found = _desk(call).view(call.path["name"])
    return msgspec.structs.replace(view_of(found), spec=found.spec)


async def list_decisions(call: Call) -> tuple[DecisionView, ...]:
    return tuple(map(decision_view_of, _desk(call).history(call.path["name"])))


async def show_decision(call: Call) -> Decision:
    name, wanted = call.path["name"], call.path["n"]
    for decision in _desk(call).history(name):
        if str(decision.n) == wanted:
            return decision
    raise Fault(404, "no_decision", "This rollout has no decision of that number.")


async def export_decisions(call: Call) -> tuple[Entry, ...]:
    after = _number(call, "after", 0)
    return tuple(_desk(call).decisions(after, min(_number(call, "limit", 100), MOST_ENTRIES)))


async def start_rollout(call: Call) -> RolloutView:
    return view_of(await _desk(call).start(call.path["name"], _actor(call), call.body.text))


async def promote_rollout(call: Call) -> RolloutView:
    desk, full = _desk(call), call.body.full
    return view_of(await desk.promote(call.path["name"], _actor(call), full=full))


async def pause_rollout(call: Call) -> RolloutView:
    return view_of(await _desk(call).pause(call.path["name"], _actor(call)))


async def resume_rollout(call: Call) -> RolloutView:
    return view_of(await _desk(call).resume(call.path["name"], _actor(call)))


async def abort_rollout(call: Call) -> RolloutView:
    return view_of(await _desk(call).abort(call.path["name"], _actor(call), call.body.reason))


async def retry_rollout(call: Call) -> RolloutView:
    return view_of(await _desk(call).retry(call.path["name"], _actor(call)))


async def undo_rollout(call: Call) -> RolloutView:
    return view_of(await _desk(call).undo(call.path["name"], _actor(call)))


async def confirm_rollout(call: Call) -> RolloutView:
    return view_of(await _desk(call).confirm(call.path["name"], _actor(call)))


async def list_webhooks(call: Call) -> tuple[ReceiverFigures, ...]:
    return call.parts.webhooks()


def _desk(call: Call) -> Rollouts:
    if call.parts.rollouts is None:
        raise Fault(503, "no_rollouts", "This gateway has no desk for rollouts.")
    return call.parts.rollouts


def _actor(call: Call) -> str:
    author: str = call.body.author
    return f"api:{author}" if author else "api"


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise Fault(400, "bad_query", f"`{name}` is a number, 0 or more.")
    return int(text)


def _verb(
    name: str, takes: type[Struct], call: Callable[[Call], Awaitable[object]], says: str
) -> Endpoint:
    return change(f"/rollouts/{{name}}/{name}", call, takes, RolloutView, says)


ENDPOINTS: tuple[Endpoint, ...] = (
    read(
        "/rollouts",
        list_rollouts,
        tuple[RolloutView, ...],
        "Every rollout: phase, step, arms, what its gates say and what it waits for.",
    ),
    read("/rollouts/{name}", show_rollout, RolloutView, "One rollout, as declared too."),
    _verb("start", Beginning, start_rollout, "Begin one of the file, or one declared here."),
    _verb("promote", Promotion, promote_rollout, "Pass by the present step, or go to the end."),
    _verb("pause", Said, pause_rollout, "Stay at this weight; guardrails go on."),
    _verb("resume", Said, resume_rollout, "Go on after a pause."),
    _verb("abort", Ending, abort_rollout, "End it: the champion has all the traffic."),
    _verb("retry", Said, retry_rollout, "Begin again from the first step."),
    _verb("undo", Said, undo_rollout, "Take a promotion back at once."),
    _verb("confirm", Said, confirm_rollout, "Say go on where it asks."),
    read(
        "/rollouts/{name}/decisions",
        list_decisions,
        tuple[DecisionView, ...],
        "What was decided of one rollout and by whom, the oldest first.",
    ),
    read(
        "/rollouts/{name}/decisions/{n}",
        show_decision,
        Decision,
        "One decision with its evidence: enough to find the same verdict again.",
    ),
    msgspec.structs.replace(
        read(
            "/decisions",
            export_decisions,
            tuple[Entry, ...],
            "The decision log of all rollouts as it is kept, chained by hashes.",
        ),
        query={
            "after": "the number of the last entry that is there already; default: 0",
            "limit": f"entries at most, up to {MOST_ENTRIES}; default: 100",
        },
    ),
    read(
        "/webhooks",
        list_webhooks,
        tuple[ReceiverFigures, ...],
        "How each webhook of `notices` is doing.",
    ),
)
