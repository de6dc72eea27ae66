"""What the settings of copies say about each other, about backends, routes and packages.

`check_shadows` is called by `relations.check`, whose rules hold here; `check_shadow` is for
the `mirror` of a rollout as well.

Rule: what could only fail later, when an answer is compared, fails here: a schema that is
      none, a package that is not installed, a judge who is not there or asks himself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from gateway.config.json_schema import fault_of, is_there
from gateway.config.rollouts import Compare, Shadow
from gateway.config.schema import Backend, Config, Route
from gateway.config.source import join

SHARES_OF_MEMORY = 4  # of a copy: what was read, what was asked, two answers
PREFIX = "shadow:"  # of a backend's name, as copies see it
_BAD_ESCAPE = re.compile(r"~(?![01])")


class Findings(Protocol):
    """Where problems go; relations.Findings."""

    def wrong(self, message: str, path: str) -> None: ...
    def unknown(self, kind: str, name: str, known: Iterable[str], path: str) -> None: ...
    def doubtful(self, message: str, path: str) -> None: ...


def check_shadows(config: Config, found: Findings) -> None:
    """The section `shadow` of every route."""
    for name in config.backends:
        if name.startswith(PREFIX):
            message = f"names that begin with `{PREFIX}` are those of copies"
            found.wrong(message, join("backends", name))
    for name, route in config.routes.items():
        seen: set[str] = set()
        for index, shadow in enumerate(route.shadow):
            path = f"{join('routes', name)}.shadow[{index}]"
            if shadow.backend in seen:
                found.wrong(f"`{shadow.backend}` is named twice", f"{path}.backend")
            seen.add(shadow.backend)
            if not shadow.sample:
                found.doubtful("nothing is copied", f"{path}.sample")
            check_shadow(shadow, name, config, path, found)


def check_shadow(shadow: Shadow, name: str, config: Config, path: str, found: Findings) -> None:
    """One section, for copies of this route's requests."""
    route = config.routes[name]
    backend = config.backends.get(shadow.backend)
    if backend is None:
        found.unknown("backend", shadow.backend, config.backends, f"{path}.backend")
    else:
        _check_backend(shadow.backend, backend, _candidates(route, config), path, found)
        _check_money(shadow, backend, path, found)
    if SHARES_OF_MEMORY * shadow.max_body > shadow.max_memory:
        message = (
            f"a copy may hold {SHARES_OF_MEMORY} times `max_body`, which is more than `max_memory`"
        )
        found.wrong(message, f"{path}.max_body")
    if not config.log.enabled:
        found.doubtful("the log is off, so what is compared is written nowhere", path)
    _check_compare(shadow.compare, f"{path}.compare", found)
    _check_judge(shadow.compare, name, config, f"{path}.compare", found)


def _candidates(route: Route, config: Config) -> list[Backend]:
    names = [one if isinstance(one, str) else one.backend for one in route.backends]
    return [config.backends[name] for name in names if name in config.backends]


def _check_backend(
    name: str, backend: Backend, own: list[Backend], path: str, found: Findings
) -> None:
    protocols = {one.protocol for one in own}
    if protocols and backend.protocol not in protocols:
        message = f"`{name}` speaks {backend.protocol}, the route {' and '.join(sorted(protocols))}"
        found.wrong(message, f"{path}.backend")
        return
    asked = {one for each in own for one in each.capabilities or ()}
    able = None if backend.capabilities is None else set(backend.capabilities)
    if able is None or not asked - able - {"stream"}:
        return
    missing = ", ".join(sorted(asked - able - {"stream"}))
    if asked & able - {"stream"}:
        message = f"`{name}` cannot do all that the route can; not copied is what needs {missing}"
        found.doubtful(message, f"{path}.backend")
    else:
        message = f"`{name}` can do nothing of what the route is asked: {missing}"
        found.wrong(message, f"{path}.backend")


def _check_money(shadow: Shadow, backend: Backend, path: str, found: Findings) -> None:
    price = backend.price
    if shadow.max_usd_per_day and not (price.input or price.output or price.request):
        message = f"`{shadow.backend}` has no price, so no limit of money can hold"
        found.wrong(message, f"{path}.max_usd_per_day")


def _check_compare(compare: Compare, path: str, found: Findings) -> None:
    for where, pointer in _pointers(compare):
        if _BAD_ESCAPE.search(pointer):
            message = "in a pointer, `~` is written ~0 and `/` in a name ~1"
            found.wrong(message, f"{path}.{where}")
        elif "*" in pointer.split("/") and not where.startswith("ignore"):
            found.wrong("this stands in one place; `*` is for `ignore`", f"{path}.{where}")
    if compare.tolerance < 0:
        found.wrong("expected 0 or more", f"{path}.tolerance")
    # Why whatever is configured: texts are always likened where it is there, and a worker
    # should import it while it compiles, not while it serves.
    if not is_there("rapidfuzz.distance") and compare.similarity:
        found.wrong(_needs("rapidfuzz"), f"{path}.similarity")
    if compare.schema is not None:
        _check_schema(compare.schema, f"{path}.schema", found)


def _pointers(compare: Compare) -> Iterator[tuple[str, str]]:
    for key in ("label", "number", "text"):
        yield key, getattr(compare, key)
    for index, pointer in enumerate(compare.ignore):
        yield f"ignore[{index}]", pointer


def _check_schema(schema: Any, path: str, found: Findings) -> None:
    if not is_there("jsonschema_rs"):
        found.wrong(_needs("jsonschema-rs"), path)
        return
    if fault := fault_of(schema):
        found.wrong(fault, path)


def _needs(package: str) -> str:
    return f"`{package}` is not installed; run `pip install 'inference-gateway[shadow]'`"


def _check_judge(compare: Compare, name: str, config: Config, path: str, found: Findings) -> None:
    judge = config.routes.get(compare.judge)
    if not compare.judge:
        if compare.judge_prompt:
            found.doubtful("nobody is told, because there is no `judge`", f"{path}.judge_prompt")
        return
    if judge is None:
        found.unknown("route", compare.judge, config.routes, f"{path}.judge")
        return
    backends = _candidates(judge, config)
    if any(one.protocol != "openai" for one in backends):
        found.wrong(f"a judge speaks openai, `{compare.judge}` does not", f"{path}.judge")
    elif backends and not any(_chats(one) for one in backends):
        found.wrong(f"a judge is asked by chat, which `{compare.judge}` cannot", f"{path}.judge")
    asks = [
        *(shadow.compare.judge for shadow in judge.shadow),
        *(
            rollout.mirror.compare.judge
            for rollout in config.rollouts.values()
            if rollout.mirror is not None and rollout.route == compare.judge
        ),
    ]
    if compare.judge == name or any(asks):
        message = f"`{compare.judge}` has its own requests judged, which would never end"
        found.wrong(message, f"{path}.judge")


def _chats(backend: Backend) -> bool:
    return backend.capabilities is None or "chat" in backend.capabilities
