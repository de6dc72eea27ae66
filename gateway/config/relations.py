"""What the fields of a configuration say about each other: references, orders, conflicts.

One function a rule or a small group of them; `check` calls all, so that all problems
are told at once. Warnings are things that work but are probably not meant.

Rule: no message holds a value that came from the environment or that is a secret.

Knows no YAML; `Located` finds the line for a path.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from gateway.config.address import address_of, is_loopback
from gateway.config.flag_relations import check_flags
from gateway.config.notice_relations import check_notices
from gateway.config.problems import Problems, meant
from gateway.config.recording_relations import check_log, check_mlflow, check_record
from gateway.config.rollout_relations import check_rollouts, used_backends
from gateway.config.rules import faults
from gateway.config.schema import (
    Backend,
    Config,
    FallbackStep,
    Route,
    Slo,
    WeightedBackend,
)
from gateway.config.shadow_relations import check_shadows
from gateway.config.source import Node, join
from gateway.config.units import Size
from gateway.config.watching_relations import check_contracts, check_drift

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_ENTRY = re.compile(r"(?P<section>backends|routes)(\.[A-Za-z0-9_-]+|\[\".*?\"\])?", re.ASCII)
_STICKY = re.compile(r"|user|client|header:[!#$%&'*+.^_`|~0-9A-Za-z-]+|pointer:(/.*)?", re.ASCII)
_FRAMING = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_SHORTEST_TOKEN = 16
FALLBACK_WORDS = ("cached", "unavailable")


class Findings:
    """Problems and warnings, with the line of each path.

    Of an entry that is not complete (`gone`) only references are judged: whatever else
    seems wrong with it may be so because of what is not there.
    """

    def __init__(self, root: Node, gone: Collection[str] = ()) -> None:
        self.problems = Problems()
        self.warnings = Problems()
        self._nodes = {node.path: node for node in _nodes(root)}
        self._gone = frozenset(gone)
        self._incomplete = {entry for path in gone for entry in _entries_of(path)}

    def wrong(self, message: str, path: str) -> None:
        if not self._incomplete & {"defaults", _entries_of(path)[0]}:
            self.problems.add(message, path, self._line(path))

    def unknown(self, kind: str, name: str, known: Iterable[str], path: str) -> None:
        """A `backend` or `route` is named that is not there."""
        section = f"{kind}s"
        if self._gone & {section, join(section, name)}:
            return
        hint = meant(name, known)
        if section in self._incomplete and "did you mean" not in hint:
            hint = ""  # Why: the list of what is known would lack what is gone
        self.problems.add(f"no {kind} `{name}`{hint}", path, self._line(path))

    def doubtful(self, message: str, path: str) -> None:
        self.warnings.add(message, path, self._line(path))

    def is_written(self, path: str) -> bool:
        """Whether the file says it, rather than a default of ours."""
        return path in self._nodes

    def written(self, path: str) -> str:
        """A scalar as it stands in the file, `${NAME}` not replaced."""
        return self._nodes[path].text if path in self._nodes else ""

    def _line(self, path: str) -> int:
        while path and path not in self._nodes:  # a default: the line of what surrounds it
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self._nodes[path].line if path else 0


def _entries_of(path: str) -> tuple[str, ...]:
    """The backend or route that a path leads to and the section of it; else one for all."""
    found = _ENTRY.match(path)
    if found is None:
        return ("defaults" if path.startswith("defaults") else "",)
    return (found[0], found["section"])


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children():
        yield from _nodes(child)


# Why: a worker chooses among candidates by the bits of one word, and keeps a row of the board
# for each backend of a route in an array.
MOST_CANDIDATES, MOST_BACKENDS_OF_A_ROUTE = 64, 128
# Why: a head and the gateway's own fields are built in a buffer of twice this.
MOST_HEAD_BYTES = 64 * 1024


def check(config: Config, root: Node, gone: Collection[str] = ()) -> Findings:
    """Everything that is wrong or doubtful about a configuration whose shape is right.

    `gone` are the paths that were taken out of it because their shape was not.
    """
    found = Findings(root, gone)
    _check_ports(config, found)
    _check_networks(config, found)
    if config.limits.head > MOST_HEAD_BYTES:
        found.wrong(f"at most {Size(MOST_HEAD_BYTES)} fit", "limits.head")
    if not config.backends:
        found.wrong("at least one backend is needed", "backends")
    if not config.routes:
        found.wrong("at least one route is needed", "routes")
    for name, backend in config.backends.items():
        _check_backend(name, backend, join("backends", name), found)
    for name, route in config.routes.items():
        _check_route(name, route, config, found)
    _check_route_loops(config, found)
    check_log(config.log, [route.record for route in config.routes.values()], found)
    check_notices(config.notices, found)
    check_flags(config, found)
    check_rollouts(config, found)
    check_contracts(config, found)
    check_drift(config, found)
    check_shadows(config, found)
    if config.default_route and config.default_route not in config.routes:
        found.unknown("route", config.default_route, config.routes, "default_route")
    for name in config.backends.keys() - set(_used_backends(config)):
        found.doubtful(f"no route uses the backend `{name}`", join("backends", name))
    return found


def _check_ports(config: Config, found: Findings) -> None:
    listen, admin = config.listen, config.admin
    hosts = {listen.host, admin.host}
    is_shared = len(hosts) == 1 or hosts & {"0.0.0.0", "::", ""}  # noqa: S104
    if listen.port == admin.port != 0 and is_shared:
        found.wrong("`listen` and `admin` cannot share a port", "admin.port")
    if not is_loopback(admin.host) and not admin.token:
        found.wrong(
            "a token is required because admin.host is not a loopback address", "admin.token"
        )
    if admin.token and len(admin.token) < _SHORTEST_TOKEN:
        found.doubtful(f"the token is shorter than {_SHORTEST_TOKEN} characters", "admin.token")
    if listen.tls:
        _check_files(listen.tls, "listen.tls", found)


def _check_networks(config: Config, found: Findings) -> None:
    for index, network in enumerate(config.forwarded.trusted):
        try:
            ipaddress.ip_network(network)
        except ValueError:
            path = f"forwarded.trusted[{index}]"
            found.wrong("expected a network such as 10.0.0.0/8 or an address", path)


def _check_files(tls: object, path: str, found: Findings) -> None:
    for key in ("certificate", "key", "ca", "client_ca"):
        name = getattr(tls, key, "")
        if name and not Path(name).is_file():
            where = f"{path}.{key}"
            found.wrong(f"there is no file `{found.written(where)}`", where)
    if bool(getattr(tls, "certificate", "")) != bool(getattr(tls, "key", "")):
        found.wrong("`certificate` and `key` are needed together", path)


def _check_backend(name: str, backend: Backend, path: str, found: Findings) -> None:
    _check_name(name, path, found)
    _check_url(backend, path, found)
    _check_headers(backend, path, found)
    if backend.http and backend.protocol != "http":
        found.wrong("`http` is only for backends of the protocol http", f"{path}.http")
    if backend.adaptive and backend.max_concurrency != "adaptive":
        found.wrong("`adaptive` needs `max_concurrency: adaptive`", f"{path}.adaptive")
    if backend.adaptive and not (
        backend.adaptive.floor <= backend.adaptive.initial <= backend.adaptive.ceiling
    ):
        found.wrong("expected floor <= initial <= ceiling", f"{path}.adaptive")
    if backend.breaker.window > 32 * 10**9 or backend.breaker.window < 10**9:
        found.wrong("expected a window from 1s to 32s", f"{path}.breaker.window")
    if backend.breaker.open_max < backend.breaker.open:
        found.wrong("`open_max` is shorter than `open`", f"{path}.breaker.open_max")
    if backend.health and backend.protocol == "http" and not backend.health.path:
        found.wrong("a backend of the protocol http needs `path` here", f"{path}.health")
    if backend.registry and backend.registry.mlflow:
        check_mlflow(backend.registry.mlflow, f"{path}.registry.mlflow", found)
    timeout = backend.timeout
    if timeout.total:
        for key in ("connect", "first_byte", "idle"):
            where = f"{path}.timeout.{key}"
            if getattr(timeout, key) > timeout.total and found.is_written(where):
                found.doubtful(f"`{key}` is longer than `total`", where)


def _check_name(name: str, path: str, found: Findings) -> None:
    if not NAME.fullmatch(name):
        found.wrong(
            "a name has 1 to 128 letters, digits and . _ - : / @ +, a letter or digit first", path
        )


def _check_url(backend: Backend, path: str, found: Findings) -> None:
    try:
        address = address_of(backend.url)
    except ValueError as error:
        found.wrong(str(error), f"{path}.url")
        return
    if backend.tls and address.scheme != "https":
        found.wrong("`tls` is only for https URLs", f"{path}.tls")
    if backend.tls:
        _check_files(backend.tls, f"{path}.tls", found)
    if backend.api_key and address.scheme == "http" and not is_loopback(address.host):
        found.doubtful("the api_key is sent unencrypted; use https", f"{path}.url")


def _check_headers(backend: Backend, path: str, found: Findings) -> None:
    values = {**backend.headers, **({"api_key": backend.api_key} if backend.api_key else {})}
    for key, value in values.items():
        where = f"{path}.api_key" if key == "api_key" else join(f"{path}.headers", key)
        if not _TOKEN.fullmatch(key):
            found.wrong("this is not a valid header name", where)
        elif key.lower() in _FRAMING:
            found.wrong("the gateway sets this header itself", where)
        elif not re.fullmatch(r"[\t -~]*", value.reveal()) or value.strip() != value:
            found.wrong("the value has a line break, outer space or non-ASCII character", where)
    if backend.api_key and "authorization" in {key.lower() for key in backend.headers}:
        found.wrong("`api_key` already sets the header authorization", f"{path}.headers")
    for index, header in enumerate(backend.forward):
        if not _TOKEN.fullmatch(header) or header.lower() in _FRAMING:
            found.wrong("this header cannot be passed on", f"{path}.forward[{index}]")


def _check_route(name: str, route: Route, config: Config, found: Findings) -> None:
    path = join("routes", name)
    _check_name(name, path, found)
    if not route.backends:
        found.wrong("at least one backend is needed", f"{path}.backends")
    if len(route.backends) > MOST_CANDIDATES:
        found.wrong(f"a route has at most {MOST_CANDIDATES} candidates", f"{path}.backends")
    if len({used for used, _where in _references(route, path)}) > MOST_BACKENDS_OF_A_ROUTE:
        message = f"candidates and fallbacks are at most {MOST_BACKENDS_OF_A_ROUTE} backends"
        found.wrong(message, path)
    protocols = {
        config.backends[used].protocol
        for used, where in _references(route, path)
        if _is_known(used, where, config.backends, found)
    }
    if len(protocols) > 1:
        found.wrong(
            f"the backends of a route speak one protocol, not {_and(protocols)}",
            f"{path}.backends",
        )
    candidates = [_name_of(candidate) for candidate in route.backends]
    for index, candidate in enumerate(candidates):
        if candidate in candidates[:index]:
            found.wrong(f"`{candidate}` is named twice", f"{path}.backends[{index}]")
    _check_policy(route, config, path, found)
    _check_fallback(route, config, path, found)
    _check_route_numbers(route, path, found)
    check_record(route.record, f"{path}.record", found)


def _is_known(name: str, path: str, backends: Mapping[str, Backend], found: Findings) -> bool:
    if name in backends:
        return True
    words = FALLBACK_WORDS if ".fallback[" in path else ()
    found.unknown("backend", name, [*words, *backends], path)
    return False


def _name_of(candidate: str | WeightedBackend) -> str:
    return candidate if isinstance(candidate, str) else candidate.backend


def _references(route: Route, path: str) -> Iterator[tuple[str, str]]:
    """Each backend that a route names, and where."""
    for index, candidate in enumerate(route.backends):
        where = f"{path}.backends[{index}]"
        yield _name_of(candidate), where if isinstance(candidate, str) else f"{where}.backend"
    for key in ("larger_context", "content_filter"):
        for index, name in enumerate(getattr(route, key)):
            yield name, f"{path}.{key}[{index}]"
    for index, step in enumerate(route.fallback):
        where = f"{path}.fallback[{index}]"
        if isinstance(step, FallbackStep) and step.backend:
            yield step.backend, f"{where}.backend"
        elif isinstance(step, str) and step not in FALLBACK_WORDS:
            yield step, where


def _used_backends(config: Config) -> Iterator[str]:
    for route in config.routes.values():
        for name, _ in _references(route, ""):
            yield name
    yield from used_backends(config)


def _check_policy(route: Route, config: Config, path: str, found: Findings) -> None:
    _check_slo(route, path, found)
    _check_weights(route, path, found)
    if route.policy in {"cheapest", "cheapest_within_slo"}:
        _check_prices(route, config, path, found)
    if not _STICKY.fullmatch(route.sticky):
        found.wrong("expected user, client, header:NAME or pointer:/json/pointer", f"{path}.sticky")


def _check_slo(route: Route, path: str, found: Findings) -> None:
    if route.slo is None:
        if route.policy == "cheapest_within_slo":
            found.wrong("the policy cheapest_within_slo needs `slo`", f"{path}.policy")
        return
    if len(promises(route.slo)) != 1:
        found.wrong("expected exactly one promise, such as {first_byte_p95: 800ms}", f"{path}.slo")
    if route.policy != "cheapest_within_slo":
        found.doubtful(f"the policy {route.policy} does not look at `slo`", f"{path}.slo")


def _check_weights(route: Route, path: str, found: Findings) -> None:
    if any(isinstance(one, WeightedBackend) for one in route.backends):
        if route.policy != "weighted":
            message = f"the policy {route.policy} does not look at weights"
            found.doubtful(message, f"{path}.backends")
        elif not sum(weights(route)):
            found.wrong("all weights are 0", f"{path}.backends")
    if route.policy == "balanced" and not sum(msgspec.structs.astuple(route.balance)):
        found.wrong("all weights are 0", f"{path}.balance")


def _check_prices(route: Route, config: Config, path: str, found: Findings) -> None:
    names = [_name_of(one) for one in route.backends]
    for name in names if len(names) > 1 else ():
        price = config.backends[name].price if name in config.backends else None
        if price and not (price.input or price.output or price.request):
            found.doubtful(f"`{name}` has no price and counts as free", f"{path}.policy")


def promises(slo: Slo) -> list[tuple[str, int]]:
    """The fields of an SLO that are set."""
    values = ((key, getattr(slo, key)) for key in slo.__struct_fields__)
    return [(key, value) for key, value in values if value is not None]


def weights(route: Route) -> tuple[int, ...]:
    """The weight of each candidate."""
    return tuple(1 if isinstance(one, str) else one.weight for one in route.backends)


def _check_fallback(route: Route, config: Config, path: str, found: Findings) -> None:
    for index, step in enumerate(route.fallback):
        where = f"{path}.fallback[{index}]"
        if isinstance(step, FallbackStep):
            _check_step(step, route, config, where, found)
        if _is_final(step) and index + 1 < len(route.fallback):
            found.doubtful("nothing after this step is ever reached", where)
    if route.cache and "cached" not in route.fallback:
        found.doubtful("`cache` does nothing without the fallback `cached`", f"{path}.cache")


def _check_step(
    step: FallbackStep, route: Route, config: Config, path: str, found: Findings
) -> None:
    if sum((bool(step.backend), bool(step.route), step.rule is not None)) != 1:
        found.wrong("expected exactly one of backend, route and rule", path)
    if step.rule is not None:
        for place, sentence in faults(step.rule.body, f"{path}.rule.body"):
            found.wrong(sentence, place)
    if not step.route:
        return
    if step.route not in config.routes:
        found.unknown("route", step.route, config.routes, f"{path}.route")
        return
    own, other = _protocols(route, config), _protocols(config.routes[step.route], config)
    if own and other and own != other:
        message = f"`{step.route}` speaks {_and(other)}, this route {_and(own)}"
        found.wrong(message, f"{path}.route")


def _protocols(route: Route, config: Config) -> set[str]:
    names = map(_name_of, route.backends)
    return {config.backends[name].protocol for name in names if name in config.backends}


def _and(words: Iterable[str]) -> str:
    return " and ".join(sorted(words))


def _is_final(step: str | FallbackStep) -> bool:
    return step == "unavailable" or (isinstance(step, FallbackStep) and step.rule is not None)


def _check_route_loops(config: Config, found: Findings) -> None:
    """A chain of routes that comes back to itself would never end."""
    for name in config.routes:
        seen, ahead = set[str](), [name]
        while ahead:
            current = ahead.pop()
            for step in config.routes[current].fallback:
                target = step.route if isinstance(step, FallbackStep) else ""
                if target == name:
                    message = f"the fallback leads from `{name}` back to itself"
                    found.wrong(message, f"{join('routes', name)}.fallback")
                    return
                if target in config.routes and target not in seen:
                    seen.add(target)
                    ahead.append(target)


def _check_route_numbers(route: Route, path: str, found: Findings) -> None:
    retry, timeout = route.retry, route.timeout
    if retry.backoff_max < retry.backoff:
        found.wrong("`backoff_max` is shorter than `backoff`", f"{path}.retry.backoff_max")
    if timeout.total and timeout.first_byte > timeout.total:
        found.doubtful("`first_byte` is longer than `total`", f"{path}.timeout.first_byte")
    if retry.attempts > 1 and not retry.budget and not retry.budget_per_s:
        found.doubtful("the budget allows no retry at all", f"{path}.retry.budget")
    if route.limits.replay > route.limits.body:
        found.doubtful("`replay` is larger than `body`", f"{path}.limits.replay")
    for index, match in enumerate(route.match):
        pattern = match.path
        stars, models = pattern.count("*"), pattern.count("{model}")
        is_wild = pattern.endswith("*") and stars == 1
        if (stars and not is_wild) or models > 1 or "{" in pattern.replace("{model}", ""):
            message = "expected an exact path, one {model}, or a trailing *"
            found.wrong(message, f"{path}.match[{index}].path")
