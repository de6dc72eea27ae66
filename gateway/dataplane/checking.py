"""Contracts on requests and answers: what a worker asks of those whose route has one.

Routes without a contract never come here. A good body costs one decode (gateway/contracts).

Rule: requests are checked as the client sent them, before an arm changes them; answers as the
      backend sent them, before the client gets any of it.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.contracts.anomalies import Anomaly, shortened, slot_of
from gateway.contracts.checker import Checker, complaint
from gateway.contracts.inspection import Inspected
from gateway.dataplane.asked_json import Judged
from gateway.errors import OUTCOMES
from gateway.plan import Plan, RoutePlan

VIOLATED = next(outcome for outcome in OUTCOMES if outcome.name == "contract_violated")


class Findings:
    """What was found so far of one exchange; the first two are of the latest check."""

    __slots__ = (
        "_answers",
        "_request",
        "body",
        "is_not_as_asked",
        "is_refused",
        "response_format",
    )

    def __init__(self) -> None:
        self.is_refused = False
        self.response_format = ""  # that the request asked for, where the answer could be read
        self.is_not_as_asked = False  # the answer is not that
        self.body: bytes | None = None  # as repaired
        self._request: tuple[Anomaly, ...] = ()
        self._answers: tuple[Anomaly, ...] = ()

    def of_request(self, found: Inspected) -> Findings:
        """With what was found in the request."""
        self._request = found.anomalies
        return self._latest(found)

    def of_answer(self, found: Inspected | None) -> Findings:
        """With what was found in an answer, beside what is known of earlier ones."""
        if found is None:
            self.is_refused, self.body = False, None
            return self
        self._answers = (*self._answers, *found.anomalies)
        return self._latest(found)

    def of_json(self, judged: Judged) -> Findings:
        """With what is wrong with the JSON that the request asked for."""
        self.response_format, self.is_not_as_asked = judged.format, bool(judged.anomalies)
        self._answers = (*self._answers, *judged.anomalies)
        return self

    def _latest(self, found: Inspected) -> Findings:
        self.is_refused = found.is_refused
        self.body = None if found.is_refused else found.body
        return self

    @property
    def complaint(self) -> str:
        """What the client is told of its request."""
        return complaint(self._request)

    @property
    def place(self) -> str:
        """Where the first thing is that refuses it."""
        return next((shortened(each.pointer) for each in self._request if each.refuses), "")

    def told(self, redacted: Callable[[str], str]) -> list[str]:
        """For the record, each once."""
        sides = (("input", self._request), ("output", self._answers))
        told = {
            f"{side}:{each.name}:{_place(each, redacted)}": None
            for side, anomalies in sides
            for each in anomalies
        }
        return list(told)

    def slots(self) -> list[int]:
        """Where each is counted: each kind once a side, however many places it was found at."""
        sides = (("input", self._request), ("output", self._answers))
        kinds = {(side, each.name) for side, anomalies in sides for each in anomalies}
        return [slot_of(side, name) for side, name in kinds]


def _place(anomaly: Anomaly, redacted: Callable[[str], str]) -> str:
    place = shortened(anomaly.pointer)
    return redacted(place) if anomaly.is_clients else place


class Checks:
    """Of all routes of a plan that have a contract."""

    def __init__(self, plan: Plan) -> None:
        self._requests = _checkers(plan, "input")
        self._answers = _checkers(plan, "output")

    def checked(self, route: RoutePlan, body: bytes) -> Findings | None:
        """What is wrong with a request; None: nothing."""
        found = self._requests[route.index].check(body)
        return None if found is None else Findings().of_request(found)

    def checked_answer(
        self, route: RoutePlan, body: bytes, known: Findings | None
    ) -> Findings | None:
        """What is wrong with an answer, beside what is known; None: nothing with either."""
        found = self._answers[route.index].check(body)
        if found is None and known is None:
            return None
        return (known or Findings()).of_answer(found)


def _checkers(plan: Plan, which: str) -> dict[int, Checker]:
    return {
        route.index: Checker(route.contract.section, which, route.protocol)
        for route in plan.routes
        if route.contract is not None and getattr(route.contract.section, which) is not None
    }
