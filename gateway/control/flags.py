"""Flags on the admin port: what there is, what is forced, and OpenFeature's protocol as well.

Rule: a change is a new Delivery in every worker, with its author in the history; the answer
      says how long that took.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from starlette.responses import Response

from gateway.config.problems import meant
from gateway.control.access import Role
from gateway.control.delivering import deliver
from gateway.control.endpoint import Call, Endpoint, change, read
from gateway.control.faults import Fault
from gateway.control.parts import Change, Parts
from gateway.messages import Delivery
from gateway.plan import FlagPlan

OFREP = "/ofrep/v1"


class FlagView(Struct, frozen=True, kw_only=True):
    """One flag: as it is configured, and what somebody made of it."""

    key: str
    kind: str  # boolean, string, number, object
    variants: dict[str, Any]
    default: str  # variant when no rule applies
    is_enabled: bool  # False: applications use their own default
    forced: str  # variant that everybody gets; "" nobody is forced
    rules: int
    unit: str  # attribute that splits are drawn by
    notes: tuple[str, ...] = ()


class ForcedVariant(Struct, frozen=True, forbid_unknown_fields=True):
    """What everybody gets: a variant, or nothing."""

    variant: str = ""
    is_off: bool = False  # instead: applications use their own default
    author: str = "api"


class Reset(Struct, frozen=True, forbid_unknown_fields=True):
    """Back to the flag's own rules."""

    author: str = "api"


class Context(Struct, frozen=True):
    """Whom flags are evaluated for."""

    context: dict[str, Any] = {}


async def list_flags(call: Call) -> tuple[FlagView, ...]:
    configuration = call.parts.configuration
    return tuple(_view(each, configuration.delivery) for each in configuration.plan.flags)


async def show_flag(call: Call) -> FlagView:
    found = _found(call.parts, call.path["key"])
    return _view(found, call.parts.configuration.delivery)


async def force_variant(call: Call) -> Change:
    """Puts the variant in force in every worker."""
    plan, wanted = _found(call.parts, call.path["key"]), call.body
    names = [name for name, _value in plan.variants]
    if wanted.is_off == bool(wanted.variant):
        raise Fault(400, "bad_body", "Give exactly one of `variant` and `is_off`.")
    if wanted.variant and wanted.variant not in names:
        sentence = f"This flag has no such variant{meant(wanted.variant, names)}"
        raise Fault(400, "no_variant", _ended(sentence))

    def forced(delivery: Delivery) -> Delivery:
        return replace(delivery, flags={**delivery.flags, plan.key: wanted.variant})

    return await deliver(call.parts, forced, wanted.author)


async def reset_flag(call: Call) -> Change:
    """Puts the flag's own rules in force again; also of a flag that is gone."""
    key = call.path["key"]
    if key not in call.parts.configuration.delivery.flags:
        _found(call.parts, key)

    def reset(delivery: Delivery) -> Delivery:
        return replace(delivery, flags={k: v for k, v in delivery.flags.items() if k != key})

    return await deliver(call.parts, reset, call.body.author)


async def evaluate_flag(call: Call) -> Response:
    return _answer(call, "POST", f"/evaluate/flags/{call.path['key']}")


async def evaluate_flags(call: Call) -> Response:
    return _answer(call, "POST", "/evaluate/flags")


async def show_flag_configuration(call: Call) -> Response:
    return _answer(call, "GET", "/configuration")


def _answer(call: Call, method: str, path: str) -> Response:
    """As a worker would answer it, by the plan in force."""
    if call.parts.flags is None:
        raise Fault(503, "no_flags", "This controller evaluates no flags.")
    tag = call.headers.get("if-none-match", "")
    found = call.parts.flags(method, OFREP + path, call.body or b"", tag)
    headers = {"etag": found.etag, "cache-control": "no-cache"} if found.etag else {}
    media_type = "application/json" if found.body else None
    return Response(found.body, found.status, headers=headers, media_type=media_type)


def _found(parts: Parts, key: str) -> FlagPlan:
    plans: Mapping[str, FlagPlan] = {each.key: each for each in parts.configuration.plan.flags}
    if key not in plans:
        sentence = f"There is no flag of this key{meant(key, plans)}"
        raise Fault(404, "no_flag", _ended(sentence))
    return plans[key]


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith("?") else f"{sentence}."


def _view(plan: FlagPlan, delivery: Delivery) -> FlagView:
    return FlagView(
        key=plan.key,
        kind=plan.kind,
        variants={name: msgspec.json.decode(value) for name, value in plan.variants},
        default=plan.default,
        is_enabled=plan.enabled and "feature.flags" not in delivery.off,
        forced=plan.forced,
        rules=len(plan.rules),
        unit=plan.draw.unit,
        notes=tuple(_notes(plan, delivery)),
    )


def _notes(plan: FlagPlan, delivery: Delivery) -> list[str]:
    forced = delivery.flags.get(plan.key, "")
    notes = ["all flags are off: `feature.flags`"] if "feature.flags" in delivery.off else []
    if forced and forced != plan.forced:
        notes.append(f"it was forced to `{forced}`, which is no variant of it any more")
    return notes


ENDPOINTS = (
    read("/flags", list_flags, tuple[FlagView, ...], "Every flag, and what is forced of it."),
    read("/flags/{key}", show_flag, FlagView, "One flag."),
    change(
        "/flags/{key}",
        force_variant,
        ForcedVariant,
        Change,
        "Give everybody one variant of a flag, or none, in every worker.",
    ),
    change("/flags/{key}/reset", reset_flag, Reset, Change, "Let a flag's own rules decide again."),
    Endpoint(
        method="POST",
        path=OFREP + "/evaluate/flags/{key}",
        role=Role.READ,
        call=evaluate_flag,
        says="OpenFeature's remote evaluation of one flag, as on the data port.",
        takes=Context,
        is_raw=True,
    ),
    Endpoint(
        method="POST",
        path=OFREP + "/evaluate/flags",
        role=Role.READ,
        call=evaluate_flags,
        says="OpenFeature's remote evaluation of all flags, as on the data port.",
        takes=Context,
        is_raw=True,
    ),
    Endpoint(
        method="GET",
        path=OFREP + "/configuration",
        role=Role.READ,
        call=show_flag_configuration,
        says="What a provider of OpenFeature wants to know.",
    ),
)
