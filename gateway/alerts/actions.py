"""What rules ask for when their alert opens: which, and how a rollout or a switch is told.

`wanted` is pure; `Arms` does the calls, each of which may be repeated without harm.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from gateway.alerts.alert import Alert
from gateway.alerts.deeds import Action, Result
from gateway.config.watching import DriftActions, DriftRule
from gateway.errors import GatewayError
from gateway.messages import Delivery

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
        if actions.retrain:
            asked["retrain", actions.retrain] = None
    return list(asked)


class Arms:
    """What moves things: the desk of rollouts, and the kill switches."""

    def __init__(
        self, rollouts: Rollouts, deliver: Deliver, delivery: Callable[[], Delivery]
    ) -> None:
        self._rollouts, self._deliver, self._delivery = rollouts, deliver, delivery

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

    async def _throw(self, alert: Alert, name: str, *, is_off: bool) -> str:
        """Why it failed; "" it did not."""

        def thrown(delivery: Delivery) -> Delivery:
            off = set(delivery.off) - {name} | ({name} if is_off else set())
            return replace(delivery, off=tuple(sorted(off)))

        try:
            await self._deliver(thrown, _actor(alert))
        except GatewayError as error:
            return str(error)
        return ""


def _actor(alert: Alert) -> str:
    return f"alert:{alert.id}"
