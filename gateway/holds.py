"""What open alerts change on routes, laid over the configuration: weights, and bodies kept.

    weights    each backend that is named has its share of the requests, the others divide the
               rest as they are configured; only the policy `weighted` looks at weights
    payload    records keep the bodies of at least so many requests

`messages.Delivery.holds` has who changes what; nothing of it is written anywhere else, so that
taking an entry out is all that it takes to undo it.

Rule 1: of several that hold one thing on a route, the most careful counts: the least share of a
        backend, the most bodies. So the order in which they came, and go, is of no matter.
Rule 2: what would leave nobody to ask changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from gateway.config.recording import Recording
from gateway.config.relations import weights
from gateway.config.schema import Route, WeightedBackend
from gateway.config.units import Share
from gateway.messages import Delivery

PPM = 1_000_000


def held(name: str, route: Route, delivery: Delivery) -> Route:
    """The route, or an arm's variant of it, as it is while this is held."""
    holds = [each for each in delivery.holds.values() if each.route == name]
    if not holds:
        return route
    backends = _weighted(route, shares_on(name, delivery))
    record = _kept(route.record, max(each.payload_ppm for each in holds))
    return replace(route, backends=backends, record=record)


def shares_on(name: str, delivery: Delivery) -> dict[str, int]:
    """What is held of the backends of a route, in parts per million of its requests."""
    return least(*(each.weights for each in delivery.holds.values() if each.route == name))


def refusal(name: str, route: Route | None, shares: Mapping[str, int]) -> str:
    """Why these shares, in parts per million, change nothing on a route; "" they do."""
    if route is None:
        return f"there is no route {name}"
    if route.policy != "weighted":
        return f"the route {name} is {route.policy}: it does not look at weights"
    known = [_name(one) for one in route.backends]
    if not set(known) & shares.keys():
        return f"no candidate of {name} is meant"
    if not any(shifted_weights(known, weights(route), shares)):
        return f"nobody on {name} would be left to ask"
    return ""


def _weighted(route: Route, shares: Mapping[str, int]) -> tuple[str | WeightedBackend, ...]:
    names = [_name(one) for one in route.backends]
    shifted = shifted_weights(names, weights(route), shares)
    if not any(shifted):
        return route.backends
    return tuple(
        WeightedBackend(backend=name, weight=weight)
        for name, weight in zip(names, shifted, strict=True)
    )


def shifted_weights(
    names: Sequence[str], configured: Sequence[int], shares: Mapping[str, int]
) -> list[int]:
    """The new weights; all 0 where none is named, or nobody is left."""
    named = sum(shares[name] for name in names if name in shares)
    if not shares.keys() & set(names):
        return [0] * len(names)
    whole = sum(weight for name, weight in zip(names, configured, strict=True)
                if name not in shares)  # fmt: skip
    rest = max(0, PPM - named)
    return [
        shares[name] if name in shares else round(rest * weight / whole) if whole else 0
        for name, weight in zip(names, configured, strict=True)
    ]


def least(*of: Mapping[str, int]) -> dict[str, int]:
    """Of several shares of a backend the least."""
    found: dict[str, int] = {}
    for shares in of:
        for name, ppm in shares.items():
            found[name] = min(ppm, found.get(name, PPM))
    return found


def _kept(record: Recording, ppm: int) -> Recording:
    if not ppm or record.payload == "full":
        return record
    if ppm >= PPM:
        return replace(record, payload="full")
    own = float(record.sample) if record.payload == "sampled" else 0.0
    return replace(record, payload="sampled", sample=Share(max(own, ppm / PPM)))


def _name(candidate: str | WeightedBackend) -> str:
    return candidate if isinstance(candidate, str) else candidate.backend


# Both sides of the log of actions: what a person reads there is what is done.


def weights_text(shares: Mapping[str, float]) -> str:
    """`new=10% old=90%`."""
    return " ".join(f"{name}={Share(share)}" for name, share in sorted(shares.items()))


def weights_of(text: str) -> dict[str, int]:
    """The same in parts per million."""
    pairs = (each.rpartition("=") for each in text.split())
    return {name: round(Share.parse(_number(share)) * PPM) for name, _, share in pairs}


def payload_text(payload: str | float) -> str:
    """`full` or `25%`."""
    return payload if isinstance(payload, str) else str(Share(payload))


def payload_ppm(text: str) -> int:
    return PPM if text == "full" else round(Share.parse(_number(text)) * PPM)


def _number(text: str) -> str | float:
    return text if text.endswith("%") else float(text)
