"""What a route would do with a request now, from the live state, without sending it.

The compiled candidates that choose for workers are made here as well, over the same
board, and asked what they find; this module reads what the request needs, and turns
numbers and bits into names and sentences.

Rule 1: nothing on the board changes: no probe is taken, nothing is counted.
Rule 2: the choice shown is the likeliest one; the chances of all add up to 1.
Knows no compiled module: `run` passes in how candidates are made and paths are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from gateway.control.figures import BoardView
from gateway.control.parts import Candidate, Configuration, Explanation, Question
from gateway.errors import ControlError
from gateway.explanation.words import SENTENCES
from gateway.plan import CAPABILITIES, POLICIES, Plan, RoutePlan
from gateway.telemetry import NANO

BYTES_PER_TOKEN = 4.0  # until it is learned, as `_fast/learned.pxd` has it
# The usual path of a protocol, where the question names none.
PATHS = {
    "openai": "/v1/chat/completions",
    "kserve": "/v2/models/{model}/infer",
    "http": "/v1/models/{model}:predict",
}
WAIT = -3  # what candidates choose in place of a position, when all usable ones are full
REFUSALS = {-1: "not_capable", -2: "no_backend"}  # likewise; reasons of errors.OUTCOMES
SWITCHED_OFF = "switched_off"
# `{"type": …}` of a part of a message, and what a backend needs for it.
_PARTS = {
    "image_url": "vision",
    "input_image": "vision",
    "input_audio": "audio",
    "file": "files",
    "input_file": "files",
    "json_schema": "json_schema",
}
_MAXIMA = ("max_completion_tokens", "max_tokens", "max_output_tokens")


class Chooser(Protocol):
    """A route's compiled candidates."""

    def choose_once(self, **asked: Any) -> Mapping[str, Any]: ...
    def explain(self, **asked: Any) -> Sequence[Mapping[str, Any]]: ...


class PathNeeds(Struct, frozen=True):
    """What a path alone says about a request."""

    capabilities: int  # bits
    is_generation: bool  # has tokens to estimate


class Needs(Struct, frozen=True, kw_only=True):
    """What a request needs, as the candidates are asked."""

    capabilities: int
    input_bytes: int = 0
    output_tokens: int = 0
    required: int = -1  # index of the one backend wanted
    policy: str

    def asked(self, now_ns: int) -> dict[str, Any]:
        return {"now_ns": now_ns} | msgspec.structs.asdict(self)


class LiveExplainer:
    """The explainer of a running gateway."""

    def __init__(
        self,
        configuration: Configuration,
        view: BoardView,
        *,
        chooser_of: Callable[[Plan, RoutePlan], Chooser],
        needs_of_path: Callable[[str, str], PathNeeds | None],  # protocol, path
        now_ns: Callable[[], int],
    ) -> None:
        self._configuration, self._view = configuration, view
        self._chooser_of, self._needs_of_path, self._now_ns = chooser_of, needs_of_path, now_ns

    def explain(self, route: str, question: Question) -> Explanation:
        """The explanation; ControlError for a request that no route would take."""
        plan, now_ns = self._configuration.plan, self._now_ns()
        entry = next(each for each in plan.routes if each.name == route)
        path = question.path or PATHS.get(entry.protocol, "/").format(model=route)
        by_path = self._needs_of_path(entry.protocol, path)
        if by_path is None:
            raise ControlError(f"The protocol {entry.protocol} has no operation at this path.")
        needs = needs_of(plan, entry, question, by_path)
        chooser = self._chooser_of(plan, entry)
        found = chooser.explain(**needs.asked(now_ns))
        choice = chooser.choose_once(**needs.asked(now_ns))["position"]
        return self._explanation(plan, entry, needs, found, choice)

    def _explanation(
        self,
        plan: Plan,
        route: RoutePlan,
        needs: Needs,
        found: Sequence[Mapping[str, Any]],
        choice: int,
    ) -> Explanation:
        best = max(found, key=lambda each: float(each["probability"]), default=None)
        chosen = best["backend"] if best and choice >= 0 and not route.is_off else None
        return Explanation(
            route=route.name,
            policy=needs.policy,
            choice=chosen,
            refusal=SWITCHED_OFF if route.is_off else REFUSALS.get(choice, ""),
            is_panic=any(each["is_panic"] for each in found),
            needs=tuple(name for name, bit in CAPABILITIES.items() if needs.capabilities & bit),
            input_tokens=self._input_tokens(plan, needs, chosen),
            candidates=tuple(_candidate(each) for each in found),
            notes=notes_of(route, choice),
        )

    def _input_tokens(self, plan: Plan, needs: Needs, backend: str | None) -> float | None:
        """Estimated with what was learned of the chosen backend."""
        if not needs.input_bytes:
            return None
        entries = [each for each in plan.backends if each.name == backend]
        learned = [raw.bytes_per_token for raw in self._view.backends(entries)]
        return round(needs.input_bytes / (next(iter(learned), 0.0) or BYTES_PER_TOKEN), 1)


def needs_of(plan: Plan, route: RoutePlan, question: Question, by_path: PathNeeds) -> Needs:
    """What the path, the body and the x-gateway-* headers ask for together."""
    body = question.body if isinstance(question.body, dict) else {}
    overrides = _overrides(route, question.headers)
    capabilities = by_path.capabilities | bits_of(body) | _capabilities(overrides)
    output_tokens = next((body[name] for name in _MAXIMA if isinstance(body.get(name), int)), 0)
    return Needs(
        capabilities=capabilities,
        input_bytes=len(msgspec.json.encode(body)) if body and by_path.is_generation else 0,
        output_tokens=max(output_tokens, 0) if by_path.is_generation else 0,
        required=_required(plan, route, overrides),
        policy=_policy(route, overrides),
    )


def bits_of(body: Mapping[str, Any]) -> int:
    """The capabilities that a body in the manner of `openai` needs."""
    names = {_PARTS[kind] for kind in _kinds(body) if kind in _PARTS}
    if body.get("stream") is True:
        names.add("stream")
    if isinstance(body.get("tools"), list):
        names.add("tools")
    return sum(CAPABILITIES[name] for name in names)


def _kinds(value: object) -> set[str]:
    """Every `"type"` anywhere in a JSON value; without recursion, however deep it is."""
    kinds, left = set(), [value]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            left += each.values()
            kinds |= {each["type"]} if isinstance(each.get("type"), str) else set()
        elif isinstance(each, list):
            left += each
    return kinds


def _overrides(route: RoutePlan, headers: Mapping[str, str]) -> dict[str, str]:
    """The x-gateway-* headers; ControlError for one that the route does not allow."""
    lowered = {name.lower(): value.strip() for name, value in headers.items()}
    found = {name: value for name, value in lowered.items() if name.startswith("x-gateway-")}
    for name in found.keys() - set(route.overrides):
        raise ControlError(f"The route does not allow the header {name}.")
    return found


def _capabilities(overrides: Mapping[str, str]) -> int:
    bits = 0
    for name in filter(None, overrides.get("x-gateway-capabilities", "").split(",")):
        if name.strip() not in CAPABILITIES:
            raise ControlError("x-gateway-capabilities names an unknown capability.")
        bits |= CAPABILITIES[name.strip()]
    return bits


def _required(plan: Plan, route: RoutePlan, overrides: Mapping[str, str]) -> int:
    wanted = overrides.get("x-gateway-backend")
    if wanted is None:
        return -1
    names = {plan.backends[index].name: index for index in route.candidates}
    if wanted not in names:
        raise ControlError("x-gateway-backend names no candidate of the route.")
    return names[wanted]


def _policy(route: RoutePlan, overrides: Mapping[str, str]) -> str:
    policy = overrides.get("x-gateway-policy", route.policy)
    if policy not in POLICIES:
        raise ControlError("x-gateway-policy names no policy.")
    return policy


def notes_of(route: RoutePlan, choice: int) -> tuple[str, ...]:
    """What the answer leaves out or assumes."""
    notes = []
    if choice == WAIT:
        notes.append("Every usable candidate is full, so the request would wait in the queue.")
    if route.sticky:
        notes.append(f"The route sticks by {route.sticky}; a request that has it goes elsewhere.")
    if route.exploration:
        notes.append(f"{route.exploration:.2%} of the requests go to any eligible candidate.")
    return tuple(notes)


def _candidate(found: Mapping[str, Any]) -> Candidate:
    reason = found["excluded"]
    return Candidate(
        backend=found["backend"],
        is_eligible=not reason,
        reason=reason,
        sentence=SENTENCES.get(reason, ""),
        probability=round(found["probability"], 6),
        score=None if reason else found["score"],
        expected_usd=found["expected_usd"],
        predicted_s=found["predicted_ns"] * NANO or None,
        load=found["load"],
        weight=found["weight"],
    )
