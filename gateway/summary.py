"""What a plan will do, in words.

Read from the compiled plan, so that nothing is claimed that is not in force.

Pure; `gateway check` prints it.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from gateway.config import Config, Document, Duration, Share, Size
from gateway.plan import (
    CAPABILITIES,
    PPM,
    BackendPlan,
    BreakerPlan,
    FallbackPlan,
    Plan,
    RetryPlan,
    RoutePlan,
)

Facts = dict[str, str]

_QUANTILES = ("p50", "p90", "p95", "p99")


class Summary(Struct, frozen=True):
    """Facts by label: of the process, of each route, of each backend."""

    process: Facts
    routes: dict[str, Facts]
    backends: dict[str, Facts]


def summary_of(document: Document, plan: Plan) -> Summary:
    """The facts of a plan and of what is not in it: addresses, workers, directories."""
    return Summary(
        process=_process(document.config, plan),
        routes={f"route {route.name}": _route(route, plan) for route in plan.routes},
        # Why not those of copies: they are the same backends.
        backends={
            f"backend {one.name}": _backend(one)
            for one in plan.backends
            if not one.name.startswith("shadow:")
        },
    )


def _process(config: Config, plan: Plan) -> Facts:
    listen, admin = config.listen, config.admin
    scheme = "https" if listen.tls else "http"
    facts = {
        "data port": f"{scheme}://{_shown(listen.host)}:{listen.port}",
        "admin port": f"http://{_shown(admin.host)}:{admin.port}"
        + (", token required" if admin.token else ""),
        "workers": str(config.workers or "one for each CPU core"),
        "state": config.state,
        "drain": f"{_time(plan.drain.lame_duck_ns)} lame duck, "
        f"{_time(plan.drain.hard_stop_ns)} hard stop",
    }
    if listen.unix:
        facts["data port"] += f" and {listen.unix}"
    if plan.default_route >= 0:
        facts["default route"] = plan.routes[plan.default_route].name
    return facts


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _route(route: RoutePlan, plan: Plan) -> Facts:
    facts = {
        "protocol": route.protocol,
        "policy": _policy(route),
        "candidates": _candidates(route, plan),
        "can do": _capabilities(route, plan),
        "timeouts": _route_timeouts(route, plan),
        "retry": _retry(route.retry),
        "queue": f"{route.queue.maximum} a worker, at most {_time(route.queue.max_wait_ns)},"
        f" then {route.queue.status}",
        "bodies": f"at most {Size(route.body_bytes)}, retried up to {Size(route.replay_bytes)};"
        f" answers held up to {Size(route.hold_bytes)}",
        "fallback": " > ".join(_step(step, plan) for step in route.fallback) or "none",
    }
    return facts | _route_options(route, plan)


def _route_options(route: RoutePlan, plan: Plan) -> Facts:
    """What only some routes have."""
    hedge = route.hedge
    options = {
        "hedge": hedge
        and f"after {_time(hedge.after_ns) if hedge.after_ns else 'the p95 of first-byte time'},"
        f" budget {Share(hedge.budget_share)}",
        "too long": _names(route.larger_context, plan),
        "filtered": _names(route.content_filter, plan),
        "copied to": ", ".join(
            f"{one.name} ({Share(one.sample_ppm / PPM)})" for one in route.shadows
        ),
        "sticky by": route.sticky,
        "exploration": route.exploration and str(Share(route.exploration)),
        "overrides": ", ".join(route.overrides),
        "websocket": route.websocket and "tunnelled",
        "paths": ", ".join(f"{'|'.join(one.methods)} {one.path}" for one in route.matches),
        "cache": route.cache_entries
        and f"{route.cache_entries} answers, {Size(route.cache_bytes)},"
        f" {_time(route.cache_ttl_ns)}",
    }
    return {label: text for label, text in options.items() if isinstance(text, str) and text}


def _policy(route: RoutePlan) -> str:
    if route.slo is None or route.policy != "cheapest_within_slo":
        return route.policy
    slo = route.slo
    metric = slo.metric.replace("_", " ")
    return f"{route.policy}, {metric} {_QUANTILES[slo.quantile]} <= {_time(slo.limit_ns)}"


def _candidates(route: RoutePlan, plan: Plan) -> str:
    names = [plan.backends[index].name for index in route.candidates]
    if route.policy != "weighted":
        return ", ".join(names)
    whole = sum(route.weights)
    shares = (f"{weight / whole:.1%}" for weight in route.weights)
    return ", ".join(f"{name} {share}" for name, share in zip(names, shares, strict=True))


def _capabilities(route: RoutePlan, plan: Plan) -> str:
    """Each capability, and who has it where not all candidates do."""
    words = []
    for name, bit in CAPABILITIES.items():
        able = [index for index in route.candidates if plan.backends[index].capabilities & bit]
        if len(able) == len(route.candidates):
            words.append(name)
        elif able:
            words.append(f"{name} (only {_names(able, plan)})")
    return ", ".join(words) or "nothing"


def _names(indexes: Iterable[int], plan: Plan) -> str:
    return ", ".join(plan.backends[index].name for index in indexes)


def _route_timeouts(route: RoutePlan, plan: Plan) -> str:
    backends = [plan.backends[index] for index in route.candidates]
    firsts = [
        min(filter(None, (route.first_byte_ns, one.first_byte_ns, route.total_ns)), default=0)
        for one in backends
    ]
    span = _time(min(firsts))
    if max(firsts) != min(firsts):
        span += f" to {_time(max(firsts))}, by backend"
    return f"first byte {span}; whole request {_time(route.total_ns)}"


def _retry(retry: RetryPlan) -> str:
    if retry.attempts == 1:
        return "none"
    return (
        f"{retry.attempts} attempts in all; budget {Share(retry.budget_share)}"
        f" + {retry.budget_per_s:g}/s; on {' '.join(map(str, retry.statuses))}"
        f" and broken connections; {' '.join(retry.methods)}"
    )


def _step(step: FallbackPlan, plan: Plan) -> str:
    if step.kind == "backend":
        return f"backend {plan.backends[step.index].name}"
    if step.kind == "route":
        return f"route {plan.routes[step.index].name}"
    return f"rule ({step.status})" if step.kind == "rule" else step.kind


def _backend(backend: BackendPlan) -> Facts:
    place = backend.host if backend.scheme == "unix" else backend.authority
    facts = {
        "at": f"{backend.scheme}://{place}{backend.base_path} ({backend.protocol})",
        "model": backend.model + (f", version {backend.version}" if backend.version else ""),
        "price": _price(backend),
        "concurrency": _concurrency(backend),
        "timeouts": f"connect {_time(backend.connect_ns)}, first byte"
        f" {_time(backend.first_byte_ns)}, gap {_time(backend.idle_ns)},"
        f" attempt {_time(backend.total_ns)}",
        "breaker": _breaker(backend.breaker),
    }
    if backend.health:
        health = backend.health
        facts["health"] = f"GET {health.path} every {_time(health.interval_ns)}"
    if backend.headers:
        facts["adds headers"] = ", ".join(name for name, _ in backend.headers)
    if backend.forward_headers:
        facts["passes on"] = ", ".join(backend.forward_headers)
    return facts


def _price(backend: BackendPlan) -> str:
    parts = []
    if backend.input_usd or backend.output_usd:
        parts.append(
            f"USD {backend.input_usd * 1e6:g} in, {backend.output_usd * 1e6:g} out,"
            f" {backend.cached_usd * 1e6:g} cached, per million tokens"
        )
    if backend.request_usd:
        parts.append(f"USD {backend.request_usd:g} a request")
    return "; ".join(parts) or "free"


def _concurrency(backend: BackendPlan) -> str:
    if backend.adaptive:
        return f"adaptive, {backend.adaptive.floor} to {backend.adaptive.ceiling}"
    return str(backend.max_concurrency or "unlimited")


def _breaker(breaker: BreakerPlan) -> str:
    rules = []
    if breaker.consecutive:
        rules.append(f"{breaker.consecutive} failures in a row")
    if breaker.failure_share < 1:
        rules.append(f"{Share(breaker.failure_share)} failed")
    if breaker.slow_share < 1 and breaker.slow_ns:
        rules.append(f"{Share(breaker.slow_share)} slower than {_time(breaker.slow_ns)}")
    if not rules:
        return "never opens"
    is_share = breaker.failure_share < 1 or breaker.slow_share < 1
    window = f" of at least {breaker.minimum} in {_time(breaker.window_ns)}" if is_share else ""
    return f"opens on {' or '.join(rules)}{window}, for {_time(breaker.open_ns)} at first"


def _time(ns: int) -> str:
    return str(Duration(ns)) if ns else "no limit"
