"""Which requests are copied, and where to: from `shadow` sections and rollouts to ShadowPlans.

A backend that copies go to has an entry of its own among the plan's backends,
`shadow:NAME`: with its own cell, breaker, pool and money, so that nothing that becomes of
copies is held against the backend that clients are answered by.

A rollout's setMirrorRoute copies the requests that its champion serves, or nobody's arm,
to the first challenger: its first backend, with its prompt and parameters.

Rule 1: pure. A backend keeps its entry, and what was spent there, while copies of it are
        declared, whatever is switched off.
Rule 2: no two plans of one route copy to the same backend: the rollout's takes precedence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct

from gateway.config import Config
from gateway.config.document import rollout_hash
from gateway.config.rollouts import Compare, Rollout, Shadow
from gateway.config.schema import Route
from gateway.messages import Delivery
from gateway.plan import PPM, BackendPlan, ComparePlan, ShadowPlan
from gateway.variants import CHAMPION, rollouts_of

SWITCH = "feature.shadow"
_NANO = 1_000_000_000

RowKey = tuple[str, str]  # route, and backend as copies see it


class Mirror(Struct, frozen=True, kw_only=True):
    """Copies of one route's requests to one backend."""

    backend: str  # as configured
    section: Shadow
    sample_ppm: int
    rollout: str = ""
    merge: bytes = b""
    prompt: str = ""


def mirror_name(backend: str) -> str:
    """The name of a backend as copies see it."""
    return f"shadow:{backend}"


class Mirrors:
    """All that is copied under one configuration and delivery."""

    def __init__(self, config: Config, delivery: Delivery) -> None:
        self._delivery = delivery
        self._rollouts = rollouts_of(config, delivery)
        declared = {
            name: self._declared(name, route, config) for name, route in config.routes.items()
        }
        self.backends = list(dict.fromkeys(mirror_name(b) for of in declared.values() for b in of))
        self.rows: list[RowKey] = [
            (route, mirror_name(backend)) for route, of in declared.items() for backend in of
        ]
        self._of = {name: self._active(name, route) for name, route in config.routes.items()}

    def entries(
        self, backends: Mapping[str, BackendPlan], cells: Mapping[str, int]
    ) -> Iterator[BackendPlan]:
        """The plans of the backends as copies see them, behind all others."""
        for index, name in enumerate(self.backends, len(backends)):
            plan = backends[name.partition(":")[2]]
            yield msgspec.structs.replace(plan, name=name, index=index, cell=cells[name])

    def plans(
        self,
        route: str,
        arm: str,
        *,
        backends: Mapping[str, int],
        rows: Mapping[RowKey, int],
        routes: Mapping[str, int],
    ) -> tuple[ShadowPlan, ...]:
        """What is copied of the requests that a variant of a route serves."""
        challenged = {
            rollout for rollout, _, name in _arms(arm) if name.partition(":")[0] != CHAMPION
        }
        return tuple(
            _plan(mirror, backends[name], rows[route, name], routes)
            for mirror in self._of[route]
            if mirror.rollout not in challenged
            for name in (mirror_name(mirror.backend),)
        )

    def _declared(self, name: str, route: Route, config: Config) -> list[str]:
        """Backends that copies go to, or may go to at some step."""
        of_rollouts = [
            _target(rollout, route)
            for rollout in self._rollouts.values()
            if rollout.route == name and _mirrors(rollout)
        ]
        named = [*(shadow.backend for shadow in route.shadow), *of_rollouts]
        return [backend for backend in dict.fromkeys(named) if backend in config.backends]

    def _active(self, name: str, route: Route) -> list[Mirror]:
        if SWITCH in self._delivery.off:
            return []
        mirrors: dict[str, Mirror] = {}
        for mirror in (*self._of_rollouts(name, route), *_of_route(route)):
            if f"backend.{mirror.backend}" not in self._delivery.off:
                mirrors.setdefault(mirror.backend, mirror)
        return list(mirrors.values())

    def _of_rollouts(self, name: str, route: Route) -> Iterator[Mirror]:
        if "feature.rollouts" in self._delivery.off:
            return
        for rollout_name, rollout in self._rollouts.items():
            standing = self._delivery.rollouts.get(rollout_name)
            if rollout.route != name or standing is None or not standing.mirror_ppm:
                continue
            if standing.spec != rollout_hash(rollout):
                continue
            arm = next(iter(rollout.arms.values()))
            backend = _target(rollout, route)
            yield Mirror(
                backend=backend,
                section=rollout.mirror or Shadow(backend=backend),
                sample_ppm=min(standing.mirror_ppm, PPM),
                rollout=rollout_name,
                merge=msgspec.json.encode(arm.merge) if arm.merge is not None else b"",
                prompt=arm.prompt,
            )


def _of_route(route: Route) -> Iterator[Mirror]:
    for shadow in route.shadow:
        yield Mirror(
            backend=shadow.backend, section=shadow, sample_ppm=round(float(shadow.sample) * PPM)
        )


def _mirrors(rollout: Rollout) -> bool:
    return rollout.mirror is not None or any(step.set_mirror_route for step in rollout.steps)


def _target(rollout: Rollout, route: Route) -> str:
    """The first challenger's first backend; where it has none of its own, the route's."""
    if rollout.mirror is not None and rollout.mirror.backend:
        return rollout.mirror.backend
    arm = next(iter(rollout.arms.values()))
    if arm.backends:
        return arm.backends[0]
    first = route.backends[0]
    return first if isinstance(first, str) else first.backend


def _arms(arm: str) -> list[tuple[str, str, str]]:
    return [each.partition(":") for each in arm.split("+")] if arm else []


def _plan(mirror: Mirror, backend: int, row: int, routes: Mapping[str, int]) -> ShadowPlan:
    section = mirror.section
    return ShadowPlan(
        name=mirror.backend,
        backend=backend,
        row=row,
        sample_ppm=mirror.sample_ppm,
        max_concurrency=section.max_concurrency,
        max_bytes=int(section.max_body),
        memory_bytes=int(section.max_memory),
        day_nano_usd=round(section.max_usd_per_day * _NANO),
        total_ns=int(section.timeout),
        rollout=mirror.rollout,
        merge=mirror.merge,
        prompt=mirror.prompt,
        compare=_compare(section.compare, routes),
    )


def _compare(compare: Compare, routes: Mapping[str, int]) -> ComparePlan:
    return ComparePlan(
        ignore=compare.ignore,
        label=compare.label,
        number=compare.number,
        tolerance=compare.tolerance,
        text=compare.text,
        similarity=float(compare.similarity),
        schema=b"" if compare.schema is None else msgspec.json.encode(compare.schema),
        judge=routes.get(compare.judge, -1),
        judge_prompt=compare.judge_prompt,
    )
