"""The registrations of backends: what is configured, with what MLflow said last.

`known` reads, and never waits for the network; `refresh` asks, and is called again and
again in a thread by whoever runs long. A server that does not answer is asked for one
model a round, not for all.

Rule: what is known stays known; a failure adds its sentence, nothing else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from gateway.config.recording import MlflowModel, Registry
from gateway.registry.kept import Kept, Observation
from gateway.registry.mlflow import ServerAway, ask_mlflow
from gateway.registry.registration import Registration, RegistryError, configured, merged

EVERY_S = 60.0

log = logging.getLogger(__name__)

Ask = Callable[[MlflowModel], Registration]


class Registrations:
    """Below one state directory."""

    def __init__(
        self, state: Path, *, ask: Ask = ask_mlflow, now_s: Callable[[], float] = time.time
    ) -> None:
        self._kept = Kept(state)
        self._ask, self._now_s = ask, now_s
        self._asked_at: dict[MlflowModel, float] = {}
        self._problems: dict[MlflowModel, str] = {}

    def known(self, registry: Registry | None, at_s: float | None = None) -> Registration | None:
        """What is known, or was at a time; None if there is nothing to know."""
        if registry is None:
            return None
        own = configured(registry)
        if registry.mlflow is None:
            return own
        return merged(own, self._remembered(registry.mlflow, at_s))

    def refresh(self, registries: Iterable[Registry | None]) -> None:
        """Asks for what was not asked for in the last minute."""
        models = {each.mlflow for each in registries if each is not None and each.mlflow}
        away: dict[str, str] = {}
        for model in models:
            if self._now_s() - self._asked_at.get(model, -EVERY_S) < EVERY_S:
                continue
            self._asked_at[model] = self._now_s()
            if model.url in away:
                self._problems[model] = away[model.url]
                continue
            try:
                self._refresh(model)
            except ServerAway as error:
                away[model.url] = str(error)
        self._asked_at = {m: at for m, at in self._asked_at.items() if m in models}
        self._problems = {m: why for m, why in self._problems.items() if m in models}

    def _refresh(self, model: MlflowModel) -> None:
        """Asks for one, and remembers the answer or the problem; ServerAway is raised on."""
        try:
            self._kept.add(model, self._ask(model), self._now_s())
        except (RegistryError, OSError) as error:
            is_ours = isinstance(error, RegistryError)
            problem = str(error) if is_ours else f"cannot keep what MLflow says: {error}"
            if self._problems.get(model) != problem:
                log.warning("model registry: %s", problem)
            self._problems[model] = problem
            if isinstance(error, ServerAway):
                raise
        else:
            self._problems.pop(model, None)

    def _remembered(self, model: MlflowModel, at_s: float | None) -> Registration:
        found = self._kept.observations(model)
        problem = self._problems.get(model, "") if at_s is None else ""
        if not found:
            return Registration(source="mlflow", problem=problem or "MLflow was not asked yet")
        now_s = self._now_s() if at_s is None else at_s
        seen = _seen(found, now_s)
        if seen is None:
            first = _stamp(found[0].first_s)
            return Registration(source="mlflow", problem=f"MLflow was first asked at {first}")
        as_of_s = min(seen.last_s, now_s)
        age_s = round(max(now_s - as_of_s, 0.0), 1)
        return replace(seen.said, as_of=_stamp(as_of_s), age_s=age_s, problem=problem)


def _seen(found: list[Observation], at_s: float) -> Observation | None:
    """The last observation that began by then."""
    return next((each for each in reversed(found) if each.first_s <= at_s), None)


def _stamp(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
