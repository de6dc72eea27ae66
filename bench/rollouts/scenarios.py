"""What the challenger is like, which gate watches, and what is promised of it."""

from __future__ import annotations

from msgspec import Struct

ERRORS, TOKENS = 0.02, 100  # of the champion


class Scenario(Struct, frozen=True, kw_only=True):
    """One kind of challenger."""

    name: str
    errors: float = ERRORS
    tail: float = 1.0  # its p99, in the champion's
    tokens: int = TOKENS
    likes: float = 0.0  # share of its answers that are accepted; 0: nothing is said
    champion_likes: float = 0.0
    weight: float  # percent that it gets
    connections: int = 16  # that ask without a pause
    gate: str
    ends: str = "rolled_back"
    most_requests: int = 0  # of the challenger until then, the median; 0 nothing is promised
    give_up_s: float = 60.0

    def steps(self) -> str:
        if self.ends == "promoted":
            return "[{setWeight: 1}, {setWeight: 25}, {setWeight: 100}]"
        return f"[{{setWeight: {self.weight:g}}}, {{pause: {{}}}}]"


SCENARIOS = (
    Scenario(
        name="errors 2 % to 30 %, 1 % canary",
        errors=0.30,
        weight=1,
        connections=4,  # Why few: between two looks more would come than it takes
        gate="{metric: errors}",
        most_requests=12,
    ),
    Scenario(
        name="errors 2 % to 4 %, 1 % canary",
        errors=0.04,
        weight=1,
        gate="{metric: errors}",
        most_requests=600,
    ),
    Scenario(
        name="p99 20 % later, half the traffic",
        tail=1.2,
        weight=50,
        gate="{metric: latency, quantile: p99}",
    ),
    Scenario(name="cost doubled, 5 % canary", tokens=2 * TOKENS, weight=5, gate="{metric: cost}"),
    Scenario(
        name="5 points fewer accepted, half the traffic",
        likes=0.75,
        champion_likes=0.80,
        weight=50,
        gate="{metric: feedback.accept}",
    ),
    Scenario(
        name="no difference, 1 to 100 %",
        weight=100,
        gate="{metric: errors}, {metric: timeouts}, {metric: latency, margin: 20%}",
        ends="promoted",
    ),
)
