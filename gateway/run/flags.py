"""Flags as the controller evaluates them: by the plan in force, as every worker does."""

from __future__ import annotations

from collections.abc import Callable

from gateway.flags.evaluation import Flags
from gateway.flags.ofrep import Answer, answer
from gateway.plan import Plan


class LiveFlags:
    """Answers by whatever plan is in force."""

    def __init__(self, plan_in_force: Callable[[], Plan]) -> None:
        self._plan_in_force = plan_in_force
        self._plan: Plan | None = None
        self._flags = Flags(())

    def answer(self, method: str, path: str, body: bytes, if_none_match: str) -> Answer:
        plan = self._plan_in_force()
        if plan is not self._plan:
            self._plan, self._flags = plan, Flags(plan.flags, plan.off)
        return answer(self._flags, method, path, body, if_none_match)
