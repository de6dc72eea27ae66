"""Whether a record excludes who had to be excluded, by what its plan and request say.

A filter of the data plane looks at the plan and the request alone (`not_wanted`,
`capability`, weight 0), at what was learned (`context`), or at the state of a backend
(cooling down, breaker, health, places). The first kind is worked out here; the others are
taken as recorded, where they are possible at all.

Rule: sentences name what is wrong in the record, never a value of the configuration.
Knows nothing of policies and draws.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.messages import Decision
from gateway.plan import CAPABILITIES, BackendPlan, RoutePlan

# The data plane's order: the first that applies is the reason.
ORDER = (
    "disabled",
    "not_wanted",
    "capability",
    "context",
    "tried",
    "cooling_down",
    "breaker_open",
    "unhealthy",
    "at_limit",
)
_SKIPPED_IN_PANIC = ("breaker_open", "unhealthy")


def contradictions(
    decision: Decision, route: RoutePlan, backends: tuple[BackendPlan, ...]
) -> Iterator[str]:
    """A sentence for each thing that cannot have been as the record has it."""
    yield from _of_request(decision, route, backends)
    for position, backend in enumerate(backends):
        recorded = decision.candidates[position].excluded
        if recorded and recorded not in ORDER:
            yield f"{backend.name} is excluded for `{recorded}`, which is no reason."
        elif wrong := _wrong(decision, route, position, backend, recorded):
            yield wrong
    yield from _of_panic(decision, route)


def _of_request(
    decision: Decision, route: RoutePlan, backends: tuple[BackendPlan, ...]
) -> Iterator[str]:
    names = {backend.name for backend in backends}
    if decision.policy != route.policy and "x-gateway-policy" not in route.overrides:
        yield f"The policy is `{decision.policy}`; the plan's is `{route.policy}`."
    if decision.required and "x-gateway-backend" not in route.overrides:
        yield "A backend was asked for by name, which the plan does not allow."
    if decision.required and decision.required not in names:
        yield f"{decision.required} was asked for by name, and is no candidate."
    for name in set(decision.capabilities) - CAPABILITIES.keys():
        yield f"`{name}` is asked for, and is no capability."


def _wrong(
    decision: Decision, route: RoutePlan, position: int, backend: BackendPlan, recorded: str
) -> str:
    """What is wrong with one candidate's reason; "" nothing."""
    due = _due(decision, route, position, backend)
    if due and recorded not in {"disabled", due}:
        was = f"excluded for `{recorded}`" if recorded else "eligible"
        return f"{backend.name} is recorded as {was}, but had to be excluded for `{due}`."
    if not due and not _is_possible(decision, backend, recorded):
        return f"{backend.name} cannot have been excluded for `{recorded}`."
    if decision.panic and recorded in _SKIPPED_IN_PANIC:
        return f"{backend.name} is excluded for `{recorded}`, which was ignored at the time."
    return ""


def _due(decision: Decision, route: RoutePlan, position: int, backend: BackendPlan) -> str:
    """The reason that plan and request give; "" they give none."""
    weight = route.weights[position] if position < len(route.weights) else 1
    wanted = sum(CAPABILITIES.get(name, 0) for name in decision.capabilities)
    if decision.policy == "weighted" and not decision.required and weight == 0:
        return "disabled"
    if decision.required not in {"", backend.name}:
        return "not_wanted"
    if wanted & ~backend.capabilities:
        return "capability"
    if backend.context_window and decision.output_tokens > backend.context_window:
        return "context"
    # Why not where it would not fit: that rests on what was learned, and comes first.
    is_context = decision.candidates[position].excluded == "context"
    return "tried" if backend.name in decision.tried and not is_context else ""


def _is_possible(decision: Decision, backend: BackendPlan, recorded: str) -> bool:
    """Whether a reason is one that state, or what was learned, can give."""
    match recorded:
        case "not_wanted" | "capability" | "tried":
            return False
        case "context":
            return backend.context_window > 0 and decision.input_bytes > 0
        case "at_limit":
            return backend.max_concurrency > 0 or backend.adaptive is not None
    return True


def _of_panic(decision: Decision, route: RoutePlan) -> Iterator[str]:
    """Whether breakers and health had to be ignored, or could not be."""
    reasons = [candidate.excluded for candidate in decision.candidates]
    tried = reasons.count("tried")
    broken = sum(reasons.count(reason) for reason in _SKIPPED_IN_PANIC)
    usable = reasons.count("") + reasons.count("at_limit")
    if decision.panic and route.panic_share == 0:
        yield "Breakers and health were ignored, which the plan never does."
    # Those tried may have been usable or not; that they all were is the kindest reading.
    if not decision.panic and usable + tried < route.panic_share * (usable + tried + broken):
        yield "Breakers and health count, though too few candidates were usable."
