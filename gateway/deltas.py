"""What differs between two deliveries, in words: what somebody switched, forced, moved or held.

    delta(before, after)   "route.chat switched off; flag search forced to new"

Rule: bounded, however much changed at once; the values of flags are not in it, their names are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.messages import Delivery, Hold, Standing
from gateway.plan import PPM

MOST_PARTS = 12


def delta(before: Delivery, after: Delivery) -> str:
    """One line; "" where nothing differs."""
    parts = [*_switches(before, after), *_flags(before, after), *_rollouts(before, after)]
    parts += _holds(before, after)
    more = len(parts) - MOST_PARTS
    return "; ".join([*parts[:MOST_PARTS], *([f"and {more} more"] if more > 0 else [])])


def _switches(before: Delivery, after: Delivery) -> Iterator[str]:
    for name in sorted({*before.off} ^ {*after.off}):
        yield f"{name} switched {'off' if name in after.off else 'on'}"


def _flags(before: Delivery, after: Delivery) -> Iterator[str]:
    for key in _differing(before.flags, after.flags):
        variant = after.flags.get(key)
        if variant is None:
            yield f"flag {key} back to its rules"
        else:
            yield f"flag {key} forced to {variant}" if variant else f"flag {key} switched off"


def _rollouts(before: Delivery, after: Delivery) -> Iterator[str]:
    for name in _differing(before.rollouts, after.rollouts):
        standing = after.rollouts.get(name)
        yield f"rollout {name} {_standing(standing) if standing else 'serves nobody'}"


def _standing(standing: Standing) -> str:
    shares = [f"{arm} at {_share(ppm)}" for arm, ppm in standing.weights.items()]
    if standing.mirror_ppm:
        shares.append(f"copies of {_share(standing.mirror_ppm)}")
    if standing.headers:
        shares.append("by header")
    return ", ".join(shares) or f"at step {standing.step}"


def _holds(before: Delivery, after: Delivery) -> Iterator[str]:
    for name in _differing(before.holds, after.holds):
        hold = after.holds.get(name)
        yield f"{name} {_hold(hold) if hold else 'holds nothing any more'}"


def _hold(hold: Hold) -> str:
    shares = [f"{backend} at {_share(ppm)}" for backend, ppm in hold.weights.items()]
    if hold.payload_ppm:
        shares.append(f"bodies of {_share(hold.payload_ppm)}")
    return f"holds on {hold.route}: {', '.join(shares)}"


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    names = {*before, *after}
    return sorted(name for name in names if before.get(name) != after.get(name))


def _share(ppm: int) -> str:
    return f"{100 * ppm / PPM:g} %"
