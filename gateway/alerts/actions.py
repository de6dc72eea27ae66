"""What rules ask for when their alert opens: which, and how a rollout or a switch is told.

`wanted` is pure; `Arms` does the calls, each of which may be repeated without harm.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from gateway.alerts.alert import Alert
from gateway.alerts.deeds import Action, Result
from gateway.config.watching import DriftActions, DriftRule
from gateway.errors import GatewayError
from gateway.holds import least, payload_ppm, payload_text, weights_of, weights_text
from gateway.messages import Delivery, Hold

ALERT = "alert:"  # before its number: who holds and who did
Refuses = Callable[[str, Mapping[str, int]], str]  # of a route and shares: why not
Deliver = Callable[[Callable[[Delivery], Delivery], str], Awaitable[object]]


class RolloutView(Protocol):
    """What is known of one rollout."""

    @property
    def name(self) -> str: ...
    @property
    def route(self) -> str: ...
    @property
    def verbs(self) -> Sequence[str]: ...


class Rollouts(Protocol):
    """The desk of rollouts, as far as alerts need it."""

    def rollouts(self) -> Sequence[RolloutView]: ...
    async def pause(self, name: str, actor: str) -> object: ...
    async def abort(self, name: str, actor: str, reason: str = ...) -> object: ...


class Done(Struct, frozen=True):
    """What became of one action."""

    action: Action
    target: str
    result: Result
    sentence: str


def wanted(alert: Alert, rules: Mapping[str, DriftRule]) -> list[tuple[Action, str]]:
    """What the rules that found its symptoms ask for, each once."""
    names = dict.fromkeys(one.rule for one in alert.symptoms.values())
    asked: dict[tuple[Action, str], None] = {}
    for name in names:
        actions = rules[name].actions if name in rules else DriftActions()
        if actions.rollout:
            asked["rollout", actions.rollout] = None
        asked |= dict.fromkeys(("switch_off", each) for each in actions.switch_off)
        if actions.weights:
            asked["weights", weights_text(actions.weights)] = None
        if actions.payload:
            asked["payload", payload_text(actions.payload)] = None
        if actions.retrain:
            asked["retrain", actions.retrain] = None
    return list(asked)


class Arms:
    """What moves things: the desk of rollouts, the kill switches, what is laid over routes."""

    def __init__(
        self,
        rollouts: Rollouts,
        deliver: Deliver,
        delivery: Callable[[], Delivery],
        refuses: Refuses = lambda _route, _shares: "",
    ) -> None:
        self._rollouts, self._deliver, self._delivery = rollouts, deliver, delivery
        self._refuses = refuses

    async def rollout(self, alert: Alert, how: str) -> list[Done]:
        """Hold or roll back what is under way on the alert's route."""
        verb = "pause" if how == "hold" else "abort"
        here = [one for one in self._rollouts.rollouts() if one.route == alert.route]
        found = [one.name for one in here if verb in one.verbs]
        if not found:
            sentence = f"no rollout on {alert.route} is under way"
            return [Done("rollout", how, "refused", sentence)]
        return [await self._tell(alert, how, name) for name in found]

    async def _tell(self, alert: Alert, how: str, name: str) -> Done:
        actor = _actor(alert)
        try:
            if how == "hold":
                await self._rollouts.pause(name, actor)
            else:
                await self._rollouts.abort(name, actor, f"alert {alert.id} on {alert.route}")
        except GatewayError as error:
            return Done("rollout", name, "failed", str(error))
        said = "paused" if how == "hold" else "rolled back"
        return Done("rollout", name, "done", said)

    def claims(self, alert: Alert, name: str, others: Iterable[Alert]) -> bool:
        """Whether the alert holds this switch off from now on; not what somebody threw himself.

        Why apart from `switch_off`: it is written down before the switch is thrown, so that who
        holds it is known after any crash.
        """
        is_held = any(name in other.switched for other in others)
        if name in self._delivery().off and not is_held:
            return False
        alert.switched = (*alert.switched, name)
        return True

    async def switch_off(self, alert: Alert, name: str) -> Done:
        """It stays off until the last alert that holds it is over, or somebody switches it on."""
        failure = await self._throw(alert, name, is_off=True)
        return Done("switch_off", name, "failed" if failure else "done", failure)

    async def switch_on(self, alert: Alert, name: str, others: Iterable[Alert]) -> Done:
        if any(name in other.switched for other in others):
            return Done("switch_on", name, "refused", "another alert holds it off")
        failure = await self._throw(alert, name, is_off=False)
        return Done("switch_on", name, "failed" if failure else "done", failure)

    def refusal(self, alert: Alert, action: Action, target: str) -> str:
        """Why weights or payloads would not change; "" they will."""
        return self._refuses(alert.route, weights_of(target)) if action == "weights" else ""

    async def hold(self, alert: Alert, action: Action, target: str) -> Done:
        """It stays so until the alert is over."""
        key, route = _actor(alert), alert.route

        def laid(delivery: Delivery) -> Delivery:
            known = delivery.holds.get(key, Hold(route=route))
            if action == "weights":
                known = replace(known, weights=least(known.weights, weights_of(target)))
            else:
                known = replace(known, payload_ppm=max(known.payload_ppm, payload_ppm(target)))
            return replace(delivery, holds=delivery.holds | {key: known})

        failure = await self._said(alert, laid)
        return Done(action, target, "failed" if failure else "done", failure)

    async def take_back(self, alert: Alert) -> list[Done]:
        """All that it holds on its route, at once."""
        if not alert.held:
            return []
        failure = await self._said(alert, lambda delivery: _without(delivery, {_actor(alert)}))
        result: Result = "failed" if failure else "done"
        return [Done("take_back", action, result, failure) for action, _target in alert.held]

    async def drop_strays(self, known: Iterable[int]) -> None:
        """What alerts held that are in no database any more."""
        held_by = {key for key in self._delivery().holds if key.startswith(ALERT)}
        strays = held_by - {f"{ALERT}{number}" for number in known}
        if strays:
            with contextlib.suppress(GatewayError):  # tried again with the next look
                await self._deliver(lambda delivery: _without(delivery, strays), "alerts")

    async def _throw(self, alert: Alert, name: str, *, is_off: bool) -> str:
        """Why it failed; "" it did not."""

        def thrown(delivery: Delivery) -> Delivery:
            off = set(delivery.off) - {name} | ({name} if is_off else set())
            return replace(delivery, off=tuple(sorted(off)))

        return await self._said(alert, thrown)

    async def _said(self, alert: Alert, change: Callable[[Delivery], Delivery]) -> str:
        try:
            await self._deliver(change, _actor(alert))
        except GatewayError as error:
            return str(error)
        return ""


def _without(delivery: Delivery, keys: Iterable[str]) -> Delivery:
    gone = set(keys)
    return replace(delivery, holds={k: v for k, v in delivery.holds.items() if k not in gone})


def _actor(alert: Alert) -> str:
    return f"{ALERT}{alert.id}"
