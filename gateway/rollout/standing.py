"""What workers are told of rollouts, worked out of their states.

    delivery_of(states)(delivery) → the delivery as it should be

Rule: a rollout that serves no challenger, copies nothing and counts nothing is not in it;
      nor is one that is only rehearsed (`dry_run`).
Why worked out, not kept: what was decided and what is delivered can then never differ
      for longer than a delivery takes, wherever the controller died.

Knows nothing of how it is delivered.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from gateway.config.effective import plain
from gateway.config.rollouts import Rollout
from gateway.messages import Delivery, Standing
from gateway.rollout.machine import LIVE, State


class Case(Struct, frozen=True, kw_only=True):
    """One rollout: its state, and what it is about."""

    state: State
    rollout: Rollout
    text: str = ""  # YAML, of one that is not in the file

    @property
    def is_standing(self) -> bool:
        """Whether workers know of it."""
        return standing_of(self.state, self.rollout) is not None


def spec_text(rollout: Rollout) -> str:
    """The declaration with its defaults, as JSON; `parse_rollout` reads it as it reads YAML."""
    text = json.dumps(plain(rollout), ensure_ascii=False)  # Why unsorted: arms have an order
    return text.replace("${", "$${")  # Why: variables were replaced; what looks like one is text


def standing_of(state: State, rollout: Rollout) -> Standing | None:
    """What workers need to know; None: nothing."""
    if rollout.dry_run or state.phase not in LIVE | {"promoted"}:
        return None
    return Standing(
        spec=state.spec_hash,
        step=max(state.step, 0),
        weights=state.weights or dict.fromkeys(rollout.arms, 0),
        mirror_ppm=state.mirror_ppm,
        headers=state.headers,
    )


def delivery_of(cases: Iterable[Case], before: Delivery) -> Delivery:
    """The delivery with these rollouts and no others; switches and flags stay."""
    specs: dict[str, str] = {}
    rollouts: dict[str, Standing] = {}
    for case in sorted(cases, key=lambda one: one.state.name):
        standing = standing_of(case.state, case.rollout)
        if standing is None:
            continue
        rollouts[case.state.name] = standing
        if case.text:
            specs[case.state.name] = case.text
    return replace(before, specs=specs, rollouts=rollouts)


def is_moved(before: State, after: State) -> bool:
    """Whether evidence gained after it is of another kind than before."""
    return _served(before) != _served(after)


def edit_of(state: State, rollout: Rollout) -> str:
    """What makes a promotion permanent, as one sentence; "" for any other."""
    if state.phase != "promoted" or state.winner not in rollout.arms:
        return ""
    arm = rollout.arms[state.winner]
    route = f"routes.{rollout.route}"
    edits = []
    if arm.backends:
        edits.append(f"set {route}.backends to {_listed(arm.backends, arm.weights)}")
    if arm.policy:
        edits.append(f"set {route}.policy to {arm.policy}")
    if arm.merge is not None or arm.prompt:
        edits.append("put the arm's merge and prompt into what the clients send")
    where = f"rollouts.{state.name}"
    return f"To make it permanent: {', '.join(edits)}, and remove {where}."


def _listed(backends: tuple[str, ...], weights: tuple[int, ...]) -> str:
    if not weights:
        return f"[{', '.join(backends)}]"
    pairs = zip(backends, weights, strict=False)
    return f"[{', '.join(f'{{backend: {name}, weight: {weight}}}' for name, weight in pairs)}]"


def _served(state: State) -> tuple[Mapping[str, int], int, bool]:
    positive = {name: ppm for name, ppm in state.weights.items() if ppm}
    return (positive, state.mirror_ppm, state.phase in LIVE)
