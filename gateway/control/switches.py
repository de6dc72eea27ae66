"""Kill switches on the admin port: what there is, what is off, off and on again.

Rule: a throw is a new Delivery in every worker, with its author in the history; the answer
      says how long that took.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from gateway.config.problems import meant
from gateway.control.delivering import deliver
from gateway.control.endpoint import Call, change, read
from gateway.control.faults import Fault
from gateway.control.parts import Change, Parts
from gateway.messages import Delivery
from gateway.switches import switches_of


class SwitchView(Struct, frozen=True):
    """One kill switch."""

    name: str  # route.NAME, backend.NAME, feature.NAME
    is_off: bool
    is_known: bool = True  # False: what it switched is gone from the configuration


class Throw(Struct, frozen=True, forbid_unknown_fields=True):
    """Which way a switch goes."""

    name: str
    is_off: bool
    author: str = "api"


async def list_switches(call: Call) -> tuple[SwitchView, ...]:
    configuration = call.parts.configuration
    known, off = list(switches_of(configuration.plan)), configuration.delivery.off
    gone = (SwitchView(name, is_off=True, is_known=False) for name in off if name not in known)
    return (*(SwitchView(name, name in off) for name in known), *gone)


async def throw_switch(call: Call) -> Change:
    """Puts the switch in force in every worker."""
    wanted = call.body
    _check(call.parts, wanted)

    def thrown(delivery: Delivery) -> Delivery:
        off = set(delivery.off) - {wanted.name} | ({wanted.name} if wanted.is_off else set())
        return replace(delivery, off=tuple(sorted(off)))

    return await deliver(call.parts, thrown, wanted.author)


def _check(parts: Parts, wanted: Throw) -> None:
    configuration = parts.configuration
    known = list(switches_of(configuration.plan))
    is_stale = not wanted.is_off and wanted.name in configuration.delivery.off
    if wanted.name not in known and not is_stale:
        sentence = f"There is no switch of this name{meant(wanted.name, known)}"
        raise Fault(404, "no_switch", sentence if sentence.endswith("?") else f"{sentence}.")


ENDPOINTS = (
    read("/switches", list_switches, tuple[SwitchView, ...], "Every kill switch."),
    change(
        "/switches",
        throw_switch,
        Throw,
        Change,
        "Switch a route, a backend or a feature off, or on again, in every worker.",
    ),
)
