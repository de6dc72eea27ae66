"""One configuration, as far as production is concerned: routes, who answers them, as what.

It is made from the text as written, so that neither an environment nor today's schema is
needed for a configuration of last year. A print is a short hash of all that is configured;
two that are equal mean that nothing was touched.

Rule: what is not understood is left out; an applied configuration was valid in its day.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from msgspec import Struct
from msgspec.structs import replace

from gateway.config.recording import MlflowModel, Registry
from gateway.holds import shares_on, shifted_weights
from gateway.messages import Delivery

ROLES = ("candidate", "challenger", "larger_context", "content_filter", "fallback")
CHALLENGER = "challenger"  # of a rollout; its weight is parts per million of the requests

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}", re.ASCII)
_OF_BACKENDS = ("timeout", "breaker")  # sections of `defaults`
_OF_ROUTES = ("retry", "queue", "record")
_MOST_CHARACTERS = 256

Section = Mapping[str, Any]


class Place(Struct, frozen=True, array_like=True):
    """A backend in one route."""

    backend: str
    role: str  # of ROLES
    weight: int  # of a challenger: parts per million; 0 it is one of several
    protocol: str
    model: str  # the backend's own name for it
    version: str  # as configured
    served: str  # print of what makes it another model: protocol, URL, model, version


class RouteOutline(Struct, frozen=True, array_like=True):
    """One route."""

    policy: str
    print: str  # of the route and all its backends
    places: tuple[Place, ...]

    def place(self, backend: str, role: str) -> Place | None:
        return next((p for p in self.places if (p.backend, p.role) == (backend, role)), None)

    def challengers(self) -> list[Place]:
        return [place for place in self.places if place.role == CHALLENGER]

    def candidates(self) -> list[Place]:
        return [place for place in self.places if place.role == "candidate"]


class Outline(Struct, frozen=True, array_like=True):
    """One configuration."""

    routes: dict[str, RouteOutline]


def outline_of(text: str, delivery: Delivery = Delivery()) -> Outline:  # noqa: B008  immutable
    """The outline of a configuration's text, and of the rollouts that were under way."""
    root = tree_of(text)
    backends, defaults = _section(root.get("backends")), _section(root.get("defaults"))
    common = {name: defaults.get(name) for name in _OF_BACKENDS}
    prints = {name: _print([common, backend]) for name, backend in backends.items()}
    common = {name: defaults.get(name) for name in _OF_ROUTES}
    routes = {}
    for name, route in _section(root.get("routes")).items():
        own = _held((*_places(_section(route), backends),), shares_on(name, delivery))
        places = (*own, *_challengers(name, root, delivery, backends))
        used = [prints[place.backend] for place in places]
        policy = _text(_section(route).get("policy")) or "ordered"
        routes[name] = RouteOutline(policy, _print([common, route, used]), places)
    return Outline(routes)


def registries_of(text: str, environ: Mapping[str, str]) -> dict[str, Registry]:
    """The `registry` blocks of backends; variables are replaced where they are known."""
    if "registry" not in text:  # Why: reading the text takes milliseconds
        return {}
    backends = _section(tree_of(text).get("backends"))
    blocks = {name: _section(_section(it).get("registry")) for name, it in backends.items()}
    return {name: _registry(block, environ) for name, block in blocks.items() if block}


def _registry(block: Section, environ: Mapping[str, str]) -> Registry:
    metrics = _section(block.get("metrics"))
    return Registry(
        trained_at=expanded(_text(block.get("trained_at")), environ),
        data=expanded(_text(block.get("data")), environ),
        metrics={str(k): float(v) for k, v in metrics.items() if isinstance(v, int | float)},
        owner=expanded(_text(block.get("owner")), environ),
        mlflow=_mlflow(_section(block.get("mlflow")), environ),
    )


def _mlflow(block: Section, environ: Mapping[str, str]) -> MlflowModel | None:
    """Whose answers are meant; without the token, since nobody is asked."""
    if not block:
        return None
    url, name, alias, version = (
        expanded(_text(block.get(key)), environ) for key in ("url", "name", "alias", "version")
    )
    return MlflowModel(url=url, name=name, alias=alias, version=version)


def tree_of(text: str) -> Section:
    """The configuration as plain data, variables as written; {} if it is none."""
    try:
        return _section(yaml.load(text, Loader=_LOADER))  # noqa: S506  a safe loader
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}


def expanded(text: str, environ: Mapping[str, str]) -> str:
    """The text with variables replaced that are known, or have a default."""

    def value(match: re.Match[str]) -> str:
        return environ.get(match[1]) or (match[0] if match[2] is None else match[2])

    return _VARIABLE.sub(value, text)


def _places(route: Section, backends: Section) -> Iterator[Place]:
    """Every backend that the route may ask, in its order, each role once."""
    seen = set()
    for role in ROLES:
        for entry in _list(route.get("backends" if role == "candidate" else role)):
            weighted = _section(entry)
            name = _text(weighted.get("backend", "")) if weighted else _text(entry)
            if name in backends and (name, role) not in seen:
                seen.add((name, role))
                yield _place(name, role, weighted.get("weight", 1), _section(backends[name]))


def _held(places: tuple[Place, ...], shares: Mapping[str, int]) -> tuple[Place, ...]:
    """As open alerts weigh them."""
    mine = {place.backend: place.weight for place in places if place.role == "candidate"}
    shifted = shifted_weights([*mine], [*mine.values()], shares)
    if not any(shifted):
        return places
    weights = dict(zip(mine, shifted, strict=True))
    return tuple(
        replace(place, weight=weights[place.backend]) if place.role == "candidate" else place
        for place in places
    )


def _place(name: str, role: str, weight: object, backend: Section) -> Place:
    protocol, model = _text(backend.get("protocol")), _text(backend.get("model")) or name
    version = _text(backend.get("version"))
    return Place(
        backend=name,
        role=role,
        weight=weight if isinstance(weight, int) else 1,
        protocol=protocol,
        model=model,
        version=version,
        served=_print([protocol, _text(backend.get("url")), model, version]),
    )


def _challengers(
    route: str, root: Section, delivery: Delivery, backends: Section
) -> Iterator[Place]:
    """The backends of arms that have a weight on this route."""
    started = {name: tree_of(text) for name, text in delivery.specs.items()}
    declared = {**started, **_section(root.get("rollouts"))}
    for name, standing in delivery.rollouts.items():
        rollout = _section(declared.get(name))
        if _text(rollout.get("route")) != route:
            continue
        arms = _section(rollout.get("arms"))
        for arm, weight in standing.weights.items():
            named = [_text(one) for one in _list(_section(arms.get(arm)).get("backends"))]
            for backend in named if weight else ():
                if backend in backends:
                    # Why 0 for several: its own policy decides among them.
                    own = weight if len(named) == 1 else 0
                    yield _place(backend, CHALLENGER, own, _section(backends[backend]))


def _section(value: object) -> Section:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return "" if value is None else str(value)[:_MOST_CHARACTERS]


def _print(data: object) -> str:
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]
