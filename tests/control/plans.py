"""Plans for the control plane's tests: what is not said is zero, empty or absent."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from gateway.plan import BackendPlan, LogPlan, Plan, RoutePlan, ShadowPlan

Made = TypeVar("Made", bound=Struct)


def blank(kind: type[Made], /, **values: Any) -> Made:
    """A Struct with these values, and the emptiest ones elsewhere."""
    hints = typing.get_type_hints(kind)
    missing = {f.name: hints[f.name] for f in msgspec.structs.fields(kind) if f.name not in values}
    return kind(**values, **{name: _empty(hint) for name, hint in missing.items()})


def _empty(hint: Any) -> Any:
    origin = typing.get_origin(hint) or hint
    if origin is Any:
        return None
    if origin in {typing.Union, types.UnionType}:
        return None
    if issubclass(origin, Struct):
        return blank(origin)
    return origin()


def make_plan(
    routes: Mapping[str, Sequence[str]], *, plan_hash: str = "a1b2c3d4e5f60718", **backend: Any
) -> Plan:
    """A plan of these routes with these candidates; rows count on from 0, cells too."""
    names = list(dict.fromkeys(name for candidates in routes.values() for name in candidates))
    backends = tuple(
        blank(
            BackendPlan, **({"index": i, "cell": i, "name": name, "protocol": "openai"} | backend)
        )
        for i, name in enumerate(names)
    )
    made: list[RoutePlan] = []
    row = 0
    for index, (name, candidates) in enumerate(routes.items()):
        indexes = tuple(names.index(candidate) for candidate in candidates)
        rows = tuple(range(row + 1, row + 1 + len(indexes)))
        made.append(
            blank(
                RoutePlan,
                index=index,
                name=name,
                protocol="openai",
                policy="ordered",
                balance=(1.0, 1.0, 1.0),
                candidates=indexes,
                weights=(1,) * len(indexes),
                row=row,
                rows=rows,
            )
        )
        row = rows[-1] + 1
    log = blank(LogPlan, enabled=True)
    return blank(Plan, hash=plan_hash, backends=backends, routes=tuple(made), log=log)


def with_shadow(plan: Plan, name: str) -> Plan:
    """The plan with copies of its first route's requests to one more backend."""
    number, route = len(plan.backends), plan.routes[0]
    backend = msgspec.structs.replace(
        plan.backends[0], index=number, cell=number, name=f"shadow:{name}"
    )
    row = 1 + max(row for each in plan.routes for row in each.rows)
    shadow = blank(ShadowPlan, name=name, backend=number, row=row)
    routes = (msgspec.structs.replace(route, shadows=(shadow,)), *plan.routes[1:])
    return msgspec.structs.replace(plan, backends=(*plan.backends, backend), routes=routes)
