"""`/api/v1/alerts…`: looks come in, alerts are shown, people say what they say.

Rule: nothing is decided here; who says something is written down as `api`, or `api:NAME` where
      a name was given.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from gateway.alerts.desk import Taken
from gateway.alerts.finding import Look
from gateway.alerts.views import AlertView
from gateway.control.endpoint import Call, change, read
from gateway.control.faults import Fault
from gateway.control.parts import Alerts
from gateway.notices.receiver import ReceiverFigures
from gateway.state.alerts import KeptDeed

MOST_SHOWN = 200
LONGEST_SILENCE_S = 30 * 86_400

Author = Annotated[str, Meta(max_length=128)]
Seconds = Annotated[float, Meta(ge=0, le=LONGEST_SILENCE_S)]


class Silence(Struct, frozen=True, forbid_unknown_fields=True):
    """Tell nobody for so long."""

    for_s: Seconds  # 0: tell again
    author: Author = ""


class Resolution(Struct, frozen=True, forbid_unknown_fields=True):
    """Who says that it is over."""

    author: Author = ""


async def list_alerts(call: Call) -> tuple[AlertView, ...]:
    limit = min(_number(call, "limit", 100), MOST_SHOWN)
    is_all = call.query.get("all", "false") == "true"
    return tuple(_desk(call).alerts(limit, is_all=is_all))


async def show_alert(call: Call) -> AlertView:
    return _desk(call).alert(_id(call))


async def take_look(call: Call) -> Taken:
    return await _desk(call).look(call.body)


async def silence_alert(call: Call) -> AlertView:
    return await _desk(call).silence(_id(call), call.body.for_s, _actor(call))


async def resolve_alert(call: Call) -> AlertView:
    return await _desk(call).resolve(_id(call), _actor(call))


async def list_actions(call: Call) -> tuple[KeptDeed, ...]:
    limit = min(_number(call, "limit", 100), MOST_SHOWN)
    after, alert = _number(call, "after", 0), _number(call, "alert", 0)
    return tuple(_desk(call).deeds(after, limit, alert))


async def list_receivers(call: Call) -> tuple[ReceiverFigures, ...]:
    return _desk(call).receivers()


def _desk(call: Call) -> Alerts:
    if call.parts.alerts is None:
        raise Fault(503, "no_alerts", "Nobody looks after alerts in this gateway.")
    return call.parts.alerts


def _actor(call: Call) -> str:
    author: str = call.body.author
    return f"api:{author}" if author else "api"


def _id(call: Call) -> int:
    text = call.path["id"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise Fault(404, "no_alert", "An alert is named by its number.")
    return int(text)


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise Fault(400, "bad_query", f"`{name}` is a number, 0 or more.")
    return int(text)


ENDPOINTS = (
    read(
        "/alerts",
        list_alerts,
        tuple[AlertView, ...],
        "Alerts that are open, the newest first, each with what follows from it.",
        query={
            "all": "`true`: the resolved ones too",
            "limit": f"alerts at most, up to {MOST_SHOWN}; default: 100",
        },
    ),
    change(
        "/alerts/looks",
        take_look,
        Look,
        Taken,
        "What a rule found on a route; what it does not name again counts as quiet.",
    ),
    read(
        "/alerts/actions",
        list_actions,
        tuple[KeptDeed, ...],
        "The log of what alerts did and people said, chained by hashes, the oldest first.",
        query={
            "after": "the number of the last entry that is there already; default: 0",
            "alert": "of one alert; default: all",
            "limit": f"entries at most, up to {MOST_SHOWN}; default: 100",
        },
    ),
    read(
        "/alerts/receivers",
        list_receivers,
        tuple[ReceiverFigures, ...],
        "How each receiver of `drift.alerts` and `drift.retraining` is doing.",
    ),
    read("/alerts/{id}", show_alert, AlertView, "One alert, with the evidence."),
    change(
        "/alerts/{id}/silence",
        silence_alert,
        Silence,
        AlertView,
        "Tell nobody of it for some time, and begin no action.",
    ),
    change("/alerts/{id}/resolve", resolve_alert, Resolution, AlertView, "Say that it is over."),
)
