"""From a configuration to its plan: names to indexes, units to integers, defaults filled in.

`compile_plan` is pure. What the board and the workers hold on to by number (rows and
cells) keeps its number from plan to plan for as long as its name lives, so that a
reload neither mixes up nor loses a counter; a freed number goes to new names only.

Rule 1: a Document is valid, so nothing here can fail but the board's capacity.
Rule 2: the same document and the same places before give an equal plan.

Knows nothing of files and sockets; the controller calls it for each new document.
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Hashable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from gateway.config import Config, Document
from gateway.config.address import address_of
from gateway.config.document import hash_of
from gateway.config.effective import plain
from gateway.config.recording import Log, Recording
from gateway.config.relations import promises, weights
from gateway.config.rules import is_expression
from gateway.config.schema import (
    Adaptive,
    Backend,
    Balance,
    Cache,
    Cors,
    FallbackStep,
    Hedge,
    HttpShape,
    Limits,
    Queue,
    Retry,
    Route,
    Rule,
    Slo,
)
from gateway.config.schema import Breaker as BreakerSection
from gateway.errors import ConfigError, Problem
from gateway.flags.plans import flag_plans
from gateway.holds import held
from gateway.messages import Delivery, Places
from gateway.mirrors import Mirrors
from gateway.plan import (
    CAPABILITIES,
    PPM,
    AdaptivePlan,
    BackendPlan,
    BreakerPlan,
    ContractPlan,
    CorsPlan,
    DrainPlan,
    FallbackPlan,
    ForwardedPlan,
    HealthPlan,
    HedgePlan,
    LimitsPlan,
    LogPlan,
    MatchPlan,
    Plan,
    QueuePlan,
    RecordPlan,
    RetryPlan,
    RoutePlan,
    SloPlan,
    TlsPlan,
    row_name,
)
from gateway.switches import switched
from gateway.variants import Experiments, Variant, experiments_of

# Why fixed: the board is mapped once, before the first worker starts. An unused row
# costs address space, not memory.
ROW_CAPACITY = 1024  # routes and (route, backend) pairs
CELL_CAPACITY = 256  # backends

NOWHERE = Places()
AT_REST = Delivery()

_QUANTILES = ("p50", "p90", "p95", "p99")  # the board's order
_QUEUE_UNLIMITED = 512  # where the candidates' limits do not say
_PER_MILLION = 1e-6
_IMPLY_STREAM = ("chat", "completions", "responses")
_HEALTH_PATHS = {"openai": "/models", "kserve": "/v2/health/ready"}
_PREDICTIONS = ("predict", "stream")
_FEATURES = {"kserve": "/inputs"}
_OUTPUTS = {"kserve": "/outputs", "http": "/predictions"}

Key = TypeVar("Key", bound=Hashable)
RowKey = tuple[str, str]  # route and backend; "" as backend: the route's own row


class _Numbers(Struct, frozen=True):
    """Every name of a configuration as a number."""

    backends: dict[str, int]
    routes: dict[str, int]
    cells: dict[str, int]
    rows: dict[RowKey, int]
    mirrors: Mirrors

    def backends_of(self, names: Iterable[str]) -> tuple[int, ...]:
        return tuple(self.backends[name] for name in names)

    def rows_of(self, route: str, names: Iterable[str]) -> tuple[int, ...]:
        return tuple(self.rows[route, name] for name in names)


def compile_plan(
    document: Document, *, places: Places = NOWHERE, delivery: Delivery = AT_REST
) -> Plan:
    """The plan of a document and where its rollouts stand; names that have a place keep it."""
    config = document.config
    experiments = {name: experiments_of(name, config, delivery) for name in config.routes}
    mirrors = Mirrors(config, delivery)
    names = (*config.backends, *mirrors.backends)
    row_keys = (*_row_keys(config, experiments), *mirrors.rows)
    rows = {(route, name): row for route, of in places.rows.items() for name, row in of.items()}
    numbers = _Numbers(
        backends={name: index for index, name in enumerate(names)},
        routes={name: index for index, name in enumerate(config.routes)},
        cells=_numbered(names, places.cells, CELL_CAPACITY, "backends"),
        rows=_numbered(row_keys, rows, ROW_CAPACITY, "routes"),
        mirrors=mirrors,
    )
    backends = {name: _backend(name, config.backends[name], numbers) for name in config.backends}
    laid = {name: _held(name, each, delivery) for name, each in experiments.items()}
    routes = {name: held(name, route, delivery) for name, route in config.routes.items()}
    plan = Plan(
        hash=plan_hash(document.hash, delivery),
        backends=(*backends.values(), *mirrors.entries(backends, numbers.cells)),
        routes=tuple(_family(name, routes[name], config, numbers, laid[name]) for name in routes),
        default_route=numbers.routes.get(config.default_route, -1),
        limits=_limits(config.limits),
        cors=_cors(config.cors) if config.cors else None,
        forwarded=ForwardedPlan(
            x_forwarded=config.forwarded.x_forwarded,
            forwarded=config.forwarded.forwarded,
            trusted=config.forwarded.trusted,
        ),
        drain=DrainPlan(
            lame_duck_ns=int(config.drain.lame_duck), hard_stop_ns=int(config.drain.hard_stop)
        ),
        server_header=config.server_header,
        log=_log(config),
        flags=flag_plans(config, delivery),
    )
    return switched(plan, delivery.off)


def plan_hash(document_hash: str, delivery: Delivery) -> str:
    """What names a plan: its configuration's hash, and where rollouts and switches stand."""
    if delivery == AT_REST:
        return document_hash
    return hash_of({"configuration": document_hash, "delivery": msgspec.to_builtins(delivery)})


def places_of(plan: Plan) -> Places:
    """Where a plan has its cells and rows."""
    return Places(
        cells={backend.name: backend.cell for backend in plan.backends},
        rows={
            row_name(each.name, each.arm): _rows_of(plan, each)
            for route in plan.routes
            for each in (route, *route.variants)
        },
    )


def _rows_of(plan: Plan, route: RoutePlan) -> dict[str, int]:
    steps = [step for step in route.fallback if step.kind == "backend"]
    indexes = chain(
        zip(route.candidates, route.rows, strict=True),
        zip(route.larger_context, route.larger_context_rows, strict=True),
        zip(route.content_filter, route.content_filter_rows, strict=True),
        ((step.index, step.row) for step in steps),
    )
    copies = ((shadow.backend, shadow.row) for shadow in route.shadows)
    named = {plan.backends[index].name: row for index, row in chain(indexes, copies)}
    return {"": route.row} | named


def _numbered(
    keys: Iterable[Key], old: Mapping[Key, int], capacity: int, section: str
) -> dict[Key, int]:
    """A number for each key: its old one, else the lowest that is free."""
    wanted = list(keys)
    if len(wanted) > capacity:
        message = f"too many: these need {len(wanted)} places on the board, which has {capacity}"
        raise ConfigError((Problem(message, section),))
    result = {key: old[key] for key in wanted if key in old and old[key] < capacity}
    taken = set(result.values())
    free = (number for number in range(capacity) if number not in taken)
    return result | {key: next(free) for key in wanted if key not in result}


def _row_keys(config: Config, experiments: Mapping[str, Experiments]) -> list[RowKey]:
    keys: dict[RowKey, None] = {}
    for name, route in config.routes.items():
        variants = ((row_name(name, each.arm), each.route) for each in experiments[name].variants)
        for own, each in ((name, route), *variants):
            keys[own, ""] = None
            named = chain(_candidates(each), each.larger_context, each.content_filter)
            steps = (_step_backend(step) for step in each.fallback)
            keys |= {(own, backend): None for backend in chain(named, steps) if backend}
    return list(keys)


def _candidates(route: Route) -> tuple[str, ...]:
    return tuple(one if isinstance(one, str) else one.backend for one in route.backends)


def _step_backend(step: str | FallbackStep) -> str:
    """The backend that a fallback step names, or ""."""
    if isinstance(step, FallbackStep):
        return step.backend
    return "" if step in {"cached", "unavailable"} else step


def _backend(name: str, backend: Backend, numbers: _Numbers) -> BackendPlan:
    address = address_of(backend.url)
    http = backend.http or HttpShape()
    price = backend.price
    cached = price.input if price.cached is None else price.cached
    is_adaptive = backend.max_concurrency == "adaptive"
    timeout, pool = backend.timeout, backend.pool
    return BackendPlan(
        index=numbers.backends[name],
        cell=numbers.cells[name],
        name=name,
        protocol=backend.protocol,
        scheme=address.scheme,
        host=address.host,
        port=address.port,
        base_path=address.base_path,
        authority=address.authority,
        model=backend.model or name,
        version=backend.version,
        headers=_headers(backend),
        forward_headers=tuple(header.lower() for header in backend.forward),
        compression=backend.compression,
        capabilities=_capability_bits(backend),
        context_window=backend.context_window,
        input_usd=price.input * _PER_MILLION,
        cached_usd=cached * _PER_MILLION,
        output_usd=price.output * _PER_MILLION,
        request_usd=price.request,
        quality=float(backend.quality),
        max_concurrency=0 if is_adaptive else int(backend.max_concurrency),
        adaptive=_adaptive(backend.adaptive or Adaptive()) if is_adaptive else None,
        connect_ns=int(timeout.connect),
        first_byte_ns=int(timeout.first_byte),
        idle_ns=int(timeout.idle),
        total_ns=int(timeout.total),
        pool_idle=pool.idle,
        pool_idle_ns=int(pool.idle_timeout),
        pool_age_ns=int(pool.max_age),
        dns_ttl_ns=int(backend.dns_ttl),
        slow_start_ns=int(backend.slow_start),
        tls=_tls(backend, address.scheme),
        breaker=_breaker(backend.breaker),
        health=_health(backend, address.base_path),
        path=http.path,
        model_pointer=http.model,
        input_tokens_pointer=http.usage.input,
        output_tokens_pointer=http.usage.output,
        confidence_pointer=http.confidence,
        version_pointer=http.version,
    )


def _headers(backend: Backend) -> tuple[tuple[str, str], ...]:
    headers = [(name.lower(), value.reveal()) for name, value in backend.headers.items()]
    if backend.api_key:
        headers.append(("authorization", f"Bearer {backend.api_key.reveal()}"))
    return tuple(headers)


def capabilities_of(backend: Backend) -> tuple[str, ...]:
    """What a backend can do: as declared, else all that its protocol can carry."""
    if backend.capabilities is None:
        if backend.protocol == "openai":
            return tuple(name for name in CAPABILITIES if name != "predict")
        return _PREDICTIONS
    declared = set(backend.capabilities)
    if declared & set(_IMPLY_STREAM):
        declared.add("stream")
    return tuple(name for name in CAPABILITIES if name in declared)


def _capability_bits(backend: Backend) -> int:
    return sum(CAPABILITIES[name] for name in capabilities_of(backend))


def _adaptive(section: Adaptive) -> AdaptivePlan:
    return AdaptivePlan(
        initial=section.initial,
        floor=section.floor,
        ceiling=section.ceiling,
        queue=section.queue,
        tolerance=section.tolerance,
        smoothing=section.smoothing,
    )


def _tls(backend: Backend, scheme: str) -> TlsPlan | None:
    if scheme != "https":
        return None
    if backend.tls is None:
        return TlsPlan()
    return TlsPlan(**msgspec.structs.asdict(backend.tls))


def _breaker(section: BreakerSection) -> BreakerPlan:
    return BreakerPlan(
        consecutive=section.consecutive,
        failure_share=float(section.failure_share),
        slow_share=float(section.slow_share),
        slow_ns=int(section.slow),
        window_ns=int(section.window),
        minimum=section.minimum,
        open_ns=int(section.open),
        open_max_ns=int(section.open_max),
        probes=section.probes,
    )


def _health(backend: Backend, base_path: str) -> HealthPlan | None:
    health = backend.health
    if health is None:
        return None
    return HealthPlan(
        path=health.path or base_path + _HEALTH_PATHS[backend.protocol],
        interval_ns=int(health.interval),
        timeout_ns=int(health.timeout),
        rise=health.rise,
        fall=health.fall,
    )


def _held(name: str, experiments: Experiments, delivery: Delivery) -> Experiments:
    """What alerts hold on a route, they hold on its arms."""
    variants = tuple(
        msgspec.structs.replace(each, route=held(name, each.route, delivery))
        for each in experiments.variants
    )
    return msgspec.structs.replace(experiments, variants=variants)


def _family(
    name: str, route: Route, config: Config, numbers: _Numbers, experiments: Experiments
) -> RoutePlan:
    """A route with its layers and variants."""
    variants = tuple(
        _route(name, each.route, config, numbers, each) for each in experiments.variants
    )
    own = _route(name, route, config, numbers)
    return msgspec.structs.replace(own, layers=experiments.layers, variants=variants)


def _route(
    name: str, route: Route, config: Config, numbers: _Numbers, variant: Variant | None = None
) -> RoutePlan:
    candidates = _candidates(route)
    arm = variant.arm if variant else ""
    own = row_name(name, arm)
    fallback = tuple(_fallback(step, own, numbers) for step in route.fallback)
    if variant and variant.is_challenger:
        # Why: whoever is given the challenger is answered, whatever becomes of it.
        champion = FallbackPlan(kind="route", index=numbers.routes[name])
        fallback = (champion, *fallback)
    keeps_answers = route.cache is not None or "cached" in route.fallback
    cache = (route.cache or Cache()) if keeps_answers else None
    return RoutePlan(
        index=numbers.routes[name],
        name=name,
        protocol=config.backends[candidates[0]].protocol,
        policy=route.policy,
        candidates=numbers.backends_of(candidates),
        weights=weights(route),
        rows=numbers.rows_of(own, candidates),
        row=numbers.rows[own, ""],
        larger_context=numbers.backends_of(route.larger_context),
        larger_context_rows=numbers.rows_of(own, route.larger_context),
        content_filter=numbers.backends_of(route.content_filter),
        content_filter_rows=numbers.rows_of(own, route.content_filter),
        slo=_slo(route.slo) if route.slo else None,
        balance=_balance(route.balance),
        exploration=float(route.exploration),
        sticky=route.sticky,
        panic_share=float(route.panic),
        retry=_retry(route.retry),
        hedge=_hedge(route.hedge) if route.hedge else None,
        queue=_queue(route.queue, [config.backends[one] for one in candidates]),
        fallback=fallback,
        first_byte_ns=int(route.timeout.first_byte),
        total_ns=int(route.timeout.total),
        body_bytes=int(route.limits.body),
        replay_bytes=_replay_bytes(route),
        hold_bytes=int(route.limits.hold),
        priority=route.priority,
        overrides=tuple(f"x-gateway-{override}" for override in route.overrides),
        websocket=route.websocket,
        matches=tuple(MatchPlan(path=one.path, methods=one.methods) for one in route.match),
        cache_entries=cache.entries if cache else 0,
        cache_bytes=int(cache.bytes) if cache else 0,
        cache_ttl_ns=int(cache.ttl) if cache else 0,
        record=_record(route.record, config.backends[candidates[0]].protocol, config.log),
        shadows=numbers.mirrors.plans(
            name, arm, backends=numbers.backends, rows=numbers.rows, routes=numbers.routes
        ),
        arm=arm,
        merge=variant.merge if variant else b"",
        prompt=variant.prompt if variant else "",
        contract=_contract(route),
    )


def _contract(route: Route) -> ContractPlan | None:
    section = route.contract
    return ContractPlan(hash_of(plain(section)), section) if section else None


def _replay_bytes(route: Route) -> int:
    """Why all of a body where there is a contract: what is relayed as it comes is not checked."""
    is_checked = route.contract is not None and route.contract.input is not None
    return int(max(route.limits.replay, route.limits.body) if is_checked else route.limits.replay)


def _record(record: Recording, protocol: str, log: Log) -> RecordPlan:
    return RecordPlan(
        payload=record.payload,
        sample_ppm=round(float(record.sample) * PPM),
        max_bytes=int(record.max),
        headers=tuple(header.lower() for header in record.headers),
        features=record.features or _FEATURES.get(protocol, ""),
        predictions=record.predictions or _OUTPUTS.get(protocol, ""),
        redact_pointers=record.redact.pointers,
        redact_headers=tuple(header.lower() for header in record.redact.headers),
        redact_patterns=record.redact.patterns,
        is_encrypted=log.encryption is not None,
    )


def _log(config: Config) -> LogPlan:
    log = config.log
    return LogPlan(
        enabled=log.enabled,
        directory=str(log_directory(config)),
        gateway=config.name or socket.gethostname(),
        segment_bytes=int(log.segment.size),
        segment_age_ns=int(log.segment.age),
        syncs_always=log.sync == "always",
        max_bytes=int(log.max_size),
        sheds=log.on_full == "shed",
        user_header=log.user_header.lower(),
        key=base64.b64decode(log.encryption.key.reveal()) if log.encryption else b"",
    )


def log_directory(config: Config) -> Path:
    """Where the segments of the prediction log are."""
    return Path(config.state) / "log"


def _slo(slo: Slo) -> SloPlan:
    [(key, limit_ns)] = promises(slo)
    metric, _, quantile = key.rpartition("_")
    return SloPlan(metric=metric, quantile=_QUANTILES.index(quantile), limit_ns=int(limit_ns))


def _balance(balance: Balance) -> tuple[float, float, float]:
    whole = balance.cost + balance.latency + balance.quality or 1.0
    return balance.cost / whole, balance.latency / whole, balance.quality / whole


def _retry(retry: Retry) -> RetryPlan:
    return RetryPlan(
        attempts=retry.attempts,
        budget_share=float(retry.budget),
        budget_per_s=retry.budget_per_s,
        backoff_ns=int(retry.backoff),
        backoff_max_ns=int(retry.backoff_max),
        statuses=retry.statuses,
        methods=retry.methods,
        retry_after_max_ns=int(retry.retry_after_max),
    )


def _hedge(hedge: Hedge) -> HedgePlan:
    return HedgePlan(after_ns=int(hedge.after), budget_share=float(hedge.budget))


def _queue(queue: Queue, candidates: list[Backend]) -> QueuePlan:
    return QueuePlan(
        maximum=_queue_maximum(candidates) if queue.max is None else queue.max,
        max_wait_ns=int(queue.max_wait),
        target_ns=int(queue.target),
        interval_ns=int(queue.interval),
        status=queue.status,
    )


def _queue_maximum(candidates: list[Backend]) -> int:
    limits = [one.max_concurrency for one in candidates]
    if any(limit in {"adaptive", 0} for limit in limits):
        return _QUEUE_UNLIMITED
    return 2 * sum(int(limit) for limit in limits)


def _fallback(step: str | FallbackStep, route: str, numbers: _Numbers) -> FallbackPlan:
    if isinstance(step, FallbackStep) and step.rule is not None:
        return _rule(step.rule)
    if isinstance(step, FallbackStep) and step.route:
        return FallbackPlan(kind="route", index=numbers.routes[step.route])
    backend = _step_backend(step)
    if backend:
        index, row = numbers.backends[backend], numbers.rows[route, backend]
        return FallbackPlan(kind="backend", index=index, row=row)
    return FallbackPlan(kind=str(step))


def _rule(rule: Rule) -> FallbackPlan:
    if isinstance(rule.body, str):
        body, content_type = rule.body.encode(), "text/plain; charset=utf-8"
    else:
        body, content_type = msgspec.json.encode(rule.body), "application/json"
    return FallbackPlan(
        kind="rule",
        status=rule.status,
        content_type=rule.content_type or content_type,
        body=body,
        expression=rule.body if is_expression(rule.body) else None,
    )


def _limits(limits: Limits) -> LimitsPlan:
    return LimitsPlan(
        connections=limits.connections,
        in_flight=limits.in_flight,
        buffered_bytes=int(limits.buffered),
        head_bytes=int(limits.head),
        head_fields=limits.head_fields,
        target_bytes=int(limits.target),
        head_ns=int(limits.head_timeout),
        body_grace_ns=int(limits.body_grace),
        body_bytes_per_s=int(limits.body_rate),
        keepalive_ns=int(limits.keepalive),
        connection_requests=limits.connection_requests,
    )


def _cors(cors: Cors) -> CorsPlan:
    return CorsPlan(
        origins=cors.origins,
        headers=cors.headers,
        methods=cors.methods,
        max_age_s=int(cors.max_age) // 10**9,
    )
