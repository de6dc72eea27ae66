"""Evidence for tests of gates, made of plain numbers."""

from __future__ import annotations

from typing import Any

from gateway.config.rollouts import Arm, Gate, Rollout
from gateway.rollout.counts import CHAMPION, ArmCounts, Evidence, Frozen, PairCounts, Period

ARMS = {"new": Arm(backends=("b",))}


def rollout_of(*gates: Gate, **more: Any) -> Rollout:
    fields: dict[str, Any] = {"route": "chat", "arms": ARMS, **more}
    return Rollout(**fields, gates=gates) if gates else Rollout(**fields)


def counts(n: int, **more: Any) -> ArmCounts:
    """Requests that all came through."""
    given = {"assigned": n, "dispatched": n, "answered": n, "recorded": n, "ended": n, **more}
    return ArmCounts(**given)


def costs(n: int, each_usd: float, spread_usd: float = 0.0) -> ArmCounts:
    return counts(
        n,
        cost_nano_usd=round(n * each_usd * 1e9),
        cost_squares_usd2=n * (each_usd**2 + spread_usd**2),
    )


def period(
    champion: ArmCounts,
    challenger: ArmCounts,
    weight: float = 0.5,
    *,
    seconds: float = 60.0,
    pairs: PairCounts | None = None,
    frozen: dict[str, Frozen] | None = None,
    **more: ArmCounts,
) -> Period:
    return Period(
        weights={"new": round(weight * 1_000_000)},
        evidence=Evidence(
            arms={CHAMPION: champion, "new": challenger, **more},
            pairs={"new": pairs} if pairs else {},
        ),
        until_ms=round(seconds * 1000),
        frozen=frozen or {},
    )
