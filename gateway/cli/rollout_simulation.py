"""What a rollout would do, before it does it: the same rollout simulated many times.

Each effect is one row: a challenger that is as good as the champion, and one for each gate
that is worse in what the gate looks at. How often the first is rolled back is the rate of
false alarms; how often the others are is power.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.cli.columns import NONE, columns
from gateway.config.rollouts import Gate, Rollout
from gateway.errors import GatewayError
from gateway.rollout.simulation import simulate
from gateway.rollout.traffic import Effect, Traffic

HEAD = (
    "CHALLENGER", "ROLLED-BACK", "PROMOTED", "UNDECIDED", "AFTER-p50/p90",
    "REQUESTS-p50/p90", "PROMOTION-p50/p90", "HARMED", "EXTRA-COST", "BY",
)  # fmt: skip
WIDTH = 60  # of the picture, in characters
LEVELS = " ▁▂▃▄▅▆▇█"
EQUAL = "no difference"
# What is typically worse, for each metric that a gate may look at.
USUAL = {
    "errors": 2.0,
    "timeouts": 3.0,
    "truncated": 3.0,
    "rescued": 2.0,
    "refusals": 2.0,
    "cut_off": 2.0,
    "schema_violations": 3.0,
    "latency": 1.2,
    "first_byte": 1.2,
    "cost": 2.0,
    "input_tokens": 1.5,
    "output_tokens": 1.5,
    "feedback.accept": 0.9,
    "feedback.thumbs": 0.9,
    "feedback.task": 0.9,
    "feedback.regenerate": 2.0,
    "feedback.ticket": 2.0,
    "feedback.edit": 1.5,
}


class EffectError(GatewayError):
    """An effect that cannot be simulated."""

    reason = "effect"


def effects_of(rollout: Rollout, wanted: Sequence[str]) -> list[Effect]:
    """No difference, then those that are wanted; by default a usual one for each gate."""
    if wanted:
        return [Effect(), *map(_effect, wanted)]
    usual = [_usual(gate) for gate in rollout.gates if gate.metric in USUAL]
    return [Effect(), *map(_effect, dict.fromkeys(usual))]


def _usual(gate: Gate) -> str:
    """What this gate should see: beyond what its margin lets through."""
    factor = USUAL[gate.metric]
    allowed = 1 + gate.margin if factor > 1 else 1 - gate.margin
    return f"{gate.metric}={factor * allowed:.4g}"


def _effect(text: str) -> Effect:
    """`errors=2`, or several at once: `errors=2,latency=1.1`."""
    factors: dict[str, float] = {}
    for part in text.split(","):
        metric, equals, factor = part.partition("=")
        if not equals or metric.strip() not in USUAL or not _is_factor(factor):
            known = ", ".join(USUAL)
            raise EffectError(
                f"--effect: expected METRIC=FACTOR, such as errors=2, not `{part}`; known: {known}"
            )
        factors[metric.strip()] = float(factor)
    name = ", ".join(f"{metric} × {factor:g}" for metric, factor in factors.items())
    return Effect(name=name, factors=factors)


def _is_factor(text: str) -> bool:
    try:
        return 0 < float(text) <= 1000
    except ValueError:
        return False


def simulated(
    name: str,
    rollout: Rollout,
    traffic: Traffic,
    effects: Sequence[Effect],
    *,
    runs: int,
    seed: int,
) -> dict[str, Any]:
    """The figures of every effect."""
    found = [simulate(rollout, traffic, effect, runs=runs, seed=seed) for effect in effects]
    rows = [msgspec.to_builtins(msgspec.structs.replace(one, outcome=None)) for one in found]
    for row in rows:
        del row["outcome"]
    return {
        "rollout": name,
        "alpha": float(rollout.alpha),
        "runs": runs,
        "seed": seed,
        "traffic": {
            "source": traffic.source,
            "requests_per_s": traffic.requests_per_s,
            "shares": traffic.shares,
            "median_ms": {n: values[len(values) // 2] for n, values in traffic.times_ms.items()},
            "means": {name: mean.mean for name, mean in traffic.means.items()},
        },
        "left_out": sorted({name for one in found for name in one.left_out}),
        "effects": rows,
    }


def page(answer: Mapping[str, Any]) -> str:
    """Table and picture."""
    return "\n".join(_lines(answer))


def _lines(answer: Mapping[str, Any]) -> Iterator[str]:
    traffic = answer["traffic"]
    yield (
        f"{answer['rollout']}: {answer['runs']} simulated rollouts of each kind,"
        f" alpha {100 * answer['alpha']:g}%, {traffic['requests_per_s']:.3g} requests/s"
    )
    yield f"traffic {traffic['source']}: {_traffic(traffic)}"
    for name in answer["left_out"]:
        yield f"note: the gate {name} is not simulated and taken to pass"
    yield ""
    yield columns(HEAD, [_row(effect) for effect in answer["effects"]], " ".join(HEAD[1:9]))
    yield ""
    yield from _picture(answer["effects"])


def _row(effect: Mapping[str, Any]) -> tuple[str, ...]:
    by = sorted(effect["by_gate"].items(), key=lambda pair: -pair[1])
    return (
        effect["effect"],
        _share(effect["rolled_back"]),
        _share(effect["promoted"]),
        _share(effect["undecided"]),
        _pair(effect["rollback_s"], span),
        _pair(effect["rollback_requests"], lambda value: f"{value:,.0f}"),
        _pair(effect["promotion_s"], span),
        f"{effect['harmed']:,.0f}" if effect["harmed"] else NONE,
        f"${effect['extra_usd']:,.2f}" if effect["extra_usd"] else NONE,
        ", ".join(f"{gate} {_share(part)}" for gate, part in by if part >= 0.001),
    )


def _traffic(traffic: Mapping[str, Any]) -> str:
    said = [f"{name} {100 * share:.3g}%" for name, share in traffic["shares"].items() if share]
    said += [f"{name} {value:.3g} ms" for name, value in traffic["median_ms"].items()]
    said += [f"{name} {value:.3g}" for name, value in traffic["means"].items()]
    return ", ".join(said)


def _picture(effects: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Shares of the runs over time, one line for each effect; the axis is logarithmic."""
    times = [mark[0] for effect in effects for mark in effect["timeline"] if mark[1] < 1]
    first, last = max(min(times, default=1.0) / 2, 1.0), max(times, default=10.0)
    at = [first * (last / first) ** (i / (WIDTH - 1)) for i in range(WIDTH)]
    label = max(len("rolled back"), *(len(effect["effect"]) for effect in effects))
    for title, column in (("rolled back", 3), ("promoted", 2)):
        yield f"{title.ljust(label)}  {_axis(at)}"
        for effect in effects:
            line = "".join(_level(_share_at(effect["timeline"], t, column)) for t in at)
            share = effect["rolled_back"] if column == 3 else effect["promoted"]
            yield f"{effect['effect'].ljust(label)}  {line}  {_share(share)}"
        yield ""


def _axis(at: Sequence[float]) -> str:
    line = ""
    for index in range(0, WIDTH, 12):
        line = line.ljust(index) + f"{span(at[index])} "
    end = span(at[-1])
    return line[: WIDTH - len(end)].rstrip().ljust(WIDTH - len(end)) + end


def _share_at(timeline: Sequence[Sequence[float]], at_s: float, column: int) -> float:
    before = [mark for mark in timeline if mark[0] <= at_s]
    return float(before[-1][column]) if before else 0.0


def _level(share: float) -> str:
    return LEVELS[math.ceil(share * (len(LEVELS) - 1))]


def _pair(values: Sequence[float] | None, say: Any) -> str:
    return NONE if values is None else f"{say(values[0])}/{say(values[1])}"


def _share(value: float) -> str:
    return f"{100 * value:.1f}%"


def span(value_s: float) -> str:
    """In the unit that fits."""
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if value_s >= length_s:
            return f"{value_s / length_s:.3g}{unit}"
    return f"{value_s:.3g}s"
