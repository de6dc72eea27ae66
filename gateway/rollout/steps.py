"""Steps in figures and in words: what each gives to whom, and how a sentence says it.

Knows nothing of phases; `machine` says which step it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.config.rollouts import HeaderRoute, Rollout, Step
from gateway.config.units import Duration
from gateway.messages import HeaderMatch
from gateway.plan import PPM

PPM_PER_PERCENT = PPM // 100
NS_PER_MS, SECOND_NS = 10**6, 10**9


def weights_at(rollout: Rollout, weight: float, out: Sequence[str] = ()) -> dict[str, int]:
    """Each challenger's parts per million at a weight; what those would have that left is nobody's.

    Why rounded down: so a rising weight never takes a unit from anybody.
    """
    whole = sum(arm.share for arm in rollout.arms.values()) or 1
    ppm = round(weight * PPM_PER_PERCENT)
    return {
        name: 0 if name in out else ppm * arm.share // whole for name, arm in rollout.arms.items()
    }


def headers_of(route: HeaderRoute, rollout: Rollout, out: Sequence[str]) -> tuple[HeaderMatch, ...]:
    arm = route.arm or next(iter(rollout.arms))
    if arm in out:
        return ()
    return tuple(
        HeaderMatch(match.header_name.lower(), match.header_value, arm) for match in route.match
    )


def step_in_words(step: Step) -> str:
    if step.set_weight is not None:
        return f"setWeight {step.set_weight:g}"
    if step.pause is not None:
        return f"pause {step.pause.duration}" if step.pause.duration else "pause"
    if step.analysis is not None:
        return " ".join(("analysis", *step.analysis.gates))
    if step.set_mirror_route is not None:
        return f"setMirrorRoute {step.set_mirror_route.percentage:g}"
    if step.set_header_route is not None and step.set_header_route.match:
        names = (match.header_name for match in step.set_header_route.match)
        return f"setHeaderRoute {' '.join(names)}"
    return "setHeaderRoute none"


def percent(ppm: int) -> str:
    return f"{ppm / PPM_PER_PERCENT:g} %"


def spans(lasted_ns: int, wanted_ns: int) -> str:
    return f"{span(lasted_ns)} of {span(wanted_ns)} have passed"


def span(duration_ns: int) -> str:
    """Whole seconds, in the largest units."""
    if 0 < duration_ns < SECOND_NS:
        return str(Duration(duration_ns // NS_PER_MS * NS_PER_MS))
    seconds = duration_ns // SECOND_NS
    parts = ((seconds // 3600, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return " ".join(f"{amount} {unit}" for amount, unit in parts if amount) or "0 s"
