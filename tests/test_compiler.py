"""From a configuration to its plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.compiler import CELL_CAPACITY, NOWHERE, ROW_CAPACITY, compile_plan, places_of
from gateway.config import load
from gateway.errors import ConfigError
from gateway.messages import Places
from gateway.plan import (
    CAPABILITIES,
    BackendPlan,
    FallbackPlan,
    MatchPlan,
    Plan,
    RoutePlan,
    SloPlan,
    TlsPlan,
)
from tests.config.texts import document

SECOND = 10**9


def plan_of(changes: dict[str, Any] | None = None, /, **top: Any) -> Plan:
    return compile_plan(document(changes, **top))


def backend_of(**fields: Any) -> BackendPlan:
    return plan_of({f"backends.one.{key}": value for key, value in fields.items()}).backends[0]


def route_of(**fields: Any) -> RoutePlan:
    return plan_of({f"routes.chat.{key}": value for key, value in fields.items()}).routes[0]


def test_indexes_are_positions_and_candidates_point_to_them() -> None:
    plan = plan_of()
    assert [one.index for one in plan.backends] == [0, 1, 2]
    assert [one.index for one in plan.routes] == [0, 1]
    assert [route.candidates for route in plan.routes] == [(0, 1), (2,)]
    assert [route.protocol for route in plan.routes] == ["openai", "http"]


def test_defaults_are_those_of_the_schema() -> None:
    backend, route = backend_of(), route_of()
    assert (backend.connect_ns, backend.first_byte_ns) == (2 * SECOND, 60 * SECOND)
    assert (backend.idle_ns, backend.total_ns) == (30 * SECOND, 600 * SECOND)
    assert (route.first_byte_ns, route.total_ns) == (0, 600 * SECOND)
    assert (backend.breaker.consecutive, backend.breaker.failure_share) == (5, 0.2)
    assert (route.retry.attempts, route.retry.budget_share) == (2, 0.2)
    assert backend.model == "one"
    assert (backend.adaptive, backend.health, backend.tls) == (None, None, None)


def test_prices_are_per_token() -> None:
    backend = backend_of(price={"input": 0.15, "output": 0.60})
    assert backend.input_usd == pytest.approx(0.15e-6)
    assert backend.cached_usd == backend.input_usd
    assert backend.output_usd == pytest.approx(0.6e-6)
    assert backend_of(price={"input": 1, "cached": 0}).cached_usd == 0
    assert backend_of(price={"request": 0.0001}).request_usd == 0.0001


def test_api_key_becomes_the_authorization_header_and_names_are_lower_case() -> None:
    plan = compile_plan(
        document(
            {"backends.two.api_key": "${K}", "backends.two.headers": {"X-Team": "a"}},
            {"K": "sk"},
        )
    )
    assert plan.backends[1].headers == (("x-team", "a"), ("authorization", "Bearer sk"))
    assert backend_of(forward=["Cookie"]).forward_headers == ("cookie",)


def test_capabilities_default_to_what_the_protocol_carries() -> None:
    everything = sum(CAPABILITIES.values())
    assert backend_of().capabilities == everything - CAPABILITIES["predict"]
    score = plan_of().backends[2]
    assert score.capabilities == CAPABILITIES["predict"] | CAPABILITIES["stream"]


def test_chat_implies_stream_and_predict_does_not() -> None:
    assert backend_of(capabilities=["chat"]).capabilities & CAPABILITIES["stream"]
    assert backend_of(capabilities=["predict"]).capabilities == CAPABILITIES["predict"]


def test_adaptive_limit_replaces_the_fixed_one() -> None:
    backend = backend_of(max_concurrency="adaptive")
    assert backend.max_concurrency == 0
    assert backend.adaptive is not None
    assert backend.adaptive.floor == 4
    assert backend_of(max_concurrency=7).max_concurrency == 7


def test_tls_is_on_for_https_alone() -> None:
    assert plan_of().backends[1].tls == TlsPlan()
    named = plan_of({"backends.two.tls": {"server_name": "n"}}).backends[1]
    assert named.tls == TlsPlan(server_name="n")


@pytest.mark.parametrize(
    "changes, path",
    [
        ({"backends.one.health": {}}, "/v1/models"),
        ({"backends.one.health": {"path": "/health"}}, "/health"),
        ({"backends.one.health": {}, "backends.one.protocol": "kserve",
          "backends.two.protocol": "kserve"}, "/v1/v2/health/ready"),
    ],
)  # fmt: skip
def test_health_path_is_whole(changes: dict[str, Any], path: str) -> None:
    health = plan_of(changes).backends[0].health
    assert health is not None
    assert health.path == path


def test_pointers_of_an_http_backend_are_passed_on() -> None:
    http = {"path": "/p", "model": "/m", "usage": {"input": "/i", "output": "/o"}}
    backend = plan_of({"backends.score.http": {**http, "confidence": "/c"}}).backends[2]
    assert (backend.path, backend.model_pointer, backend.input_tokens_pointer) == ("/p", "/m", "/i")
    assert (backend.output_tokens_pointer, backend.confidence_pointer) == ("/o", "/c")
    assert backend.version_pointer == ""


def test_slo_names_metric_and_quantile() -> None:
    route = route_of(policy="cheapest_within_slo", slo={"total_p99": "2s"})
    assert route.slo == SloPlan(metric="total", quantile=3, limit_ns=2 * SECOND)


def test_balance_adds_up_to_one() -> None:
    route = route_of(policy="balanced", balance={"cost": 2, "latency": 1, "quality": 1})
    assert route.balance == (0.5, 0.25, 0.25)


def test_weights_run_parallel_to_the_candidates() -> None:
    route = route_of(policy="weighted", backends=[{"backend": "two", "weight": 95}, "one"])
    assert (route.candidates, route.weights) == ((1, 0), (95, 1))


@pytest.mark.parametrize(
    "limits, maximum", [((10, 20), 60), ((10, 0), 512), ((10, "adaptive"), 512)]
)
def test_queue_is_twice_the_limits_where_they_are_known(
    limits: tuple[Any, Any], maximum: int
) -> None:
    one, two = limits
    changes = {"backends.one.max_concurrency": one, "backends.two.max_concurrency": two}
    assert plan_of(changes).routes[0].queue.maximum == maximum
    assert plan_of({**changes, "routes.chat.queue": {"max": 3}}).routes[0].queue.maximum == 3


def test_fallback_steps_are_resolved() -> None:
    steps: list[Any] = ["two", {"backend": "one"}, {"route": "spare"}, "cached"]
    rules = [{"rule": {"body": {"a": 1}}}, {"rule": {"body": "hi", "status": 503}}]
    spare = {"backends": ["one"]}
    plan = plan_of({"routes.chat.fallback": [*steps, *rules], "routes.spare": spare})
    route = plan.routes[0]
    assert route.fallback[:4] == (
        FallbackPlan(kind="backend", index=1, row=route.rows[1]),
        FallbackPlan(kind="backend", index=0, row=route.rows[0]),
        FallbackPlan(kind="route", index=2),
        FallbackPlan(kind="cached"),
    )
    assert [step.body for step in route.fallback[4:]] == [b'{"a":1}', b"hi"]
    assert [step.content_type for step in route.fallback[4:]] == [
        "application/json",
        "text/plain; charset=utf-8",
    ]
    assert [step.status for step in route.fallback[4:]] == [200, 503]


def test_answers_are_kept_only_for_the_fallback_cached() -> None:
    assert route_of().cache_entries == 0
    assert route_of(fallback=["cached"]).cache_entries == 1024
    assert route_of(fallback=["cached"], cache={"entries": 5}).cache_entries == 5


def test_options_of_a_route_are_passed_on() -> None:
    route = route_of(
        overrides=["policy", "timeout"],
        match=[{"path": "/x", "methods": ["PUT"]}],
        hedge={"after": "1s"},
        sticky="header:x-session",
    )
    assert route.overrides == ("x-gateway-policy", "x-gateway-timeout")
    assert route.matches == (MatchPlan(path="/x", methods=("PUT",)),)
    assert route.hedge is not None
    assert (route.hedge.after_ns, route.hedge.budget_share) == (SECOND, 0.02)
    assert route.sticky == "header:x-session"


def test_settings_of_the_whole_gateway_are_passed_on() -> None:
    plan = plan_of(
        cors={"origins": ["*"], "max_age": "60s"},
        forwarded={"forwarded": True, "trusted": ["10.0.0.0/8"]},
        default_route="fraud",
        server_header="gw",
        limits={"head_fields": 7},
        drain={"hard_stop": "1s"},
    )
    assert plan.cors is not None
    assert plan.cors.max_age_s == 60
    assert plan.forwarded.trusted == ("10.0.0.0/8",)
    assert (plan.default_route, plan.server_header, plan.limits.head_fields) == (1, "gw", 7)
    assert plan.drain.hard_stop_ns == SECOND
    assert plan_of().default_route == -1


def rows_of(plan: Plan) -> dict[tuple[str, str], int]:
    """Written from the definition: every row a plan names, by route and backend."""
    rows: dict[tuple[str, str], int] = {}
    for route in plan.routes:
        rows[route.name, ""] = route.row
        pairs = [*zip(route.candidates, route.rows, strict=True)]
        pairs += zip(route.larger_context, route.larger_context_rows, strict=True)
        pairs += zip(route.content_filter, route.content_filter_rows, strict=True)
        pairs += [(step.index, step.row) for step in route.fallback if step.kind == "backend"]
        for index, row in pairs:
            key = (route.name, plan.backends[index].name)
            assert rows.setdefault(key, row) == row
    return rows


def test_every_backend_a_route_may_reach_has_a_row_of_its_own() -> None:
    plan = plan_of(
        {
            "routes.chat.backends": ["one"],
            "routes.chat.larger_context": ["two"],
            "routes.chat.content_filter": ["two", "one"],
            "routes.chat.fallback": ["two"],
        }
    )
    assert sorted(rows_of(plan)) == [
        ("chat", ""),
        ("chat", "one"),
        ("chat", "two"),
        ("fraud", ""),
        ("fraud", "score"),
    ]
    assert sorted(rows_of(plan).values()) == [0, 1, 2, 3, 4]


NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True)


@given(st.lists(st.tuples(NAMES, NAMES), min_size=2, max_size=5))
def test_numbers_stay_with_their_names_through_reloads(
    reloads: list[tuple[list[str], list[str]]],
) -> None:
    previous: Plan | None = None
    for backends, routes in reloads:
        config = document(
            backends={name: {"protocol": "http", "url": "http://h"} for name in backends},
            routes={name: {"backends": backends} for name in routes},
        )
        plan = compile_plan(config, places=places_of(previous) if previous else NOWHERE)
        rows, cells = rows_of(plan), {one.name: one.cell for one in plan.backends}
        assert len(set(rows.values())) == len(rows)
        assert len(set(cells.values())) == len(cells)
        if previous:
            old_rows = rows_of(previous)
            old_cells = {one.name: one.cell for one in previous.backends}
            assert all(old_rows[key] == rows[key] for key in rows.keys() & old_rows.keys())
            assert all(old_cells[key] == cells[key] for key in cells.keys() & old_cells.keys())
        previous = plan


def test_freed_number_goes_to_a_new_name() -> None:
    def plan_with(*names: str, places: Places = NOWHERE) -> Plan:
        backends = {name: {"protocol": "http", "url": "http://h"} for name in names}
        routes = {"r": {"backends": [names[-1]]}}
        return compile_plan(document(backends=backends, routes=routes), places=places)

    second = plan_with("b", "c", places=places_of(plan_with("a", "b", "c")))
    third = plan_with("b", "d", "e", "c", places=places_of(second))
    cells = {one.name: one.cell for one in third.backends}
    assert cells == {"b": 1, "c": 2, "d": 0, "e": 3}


def test_places_name_every_cell_and_row() -> None:
    backends = {name: {"protocol": "openai", "url": "http://h"} for name in "abc"}
    chat = {"backends": ["a", "b"], "fallback": [{"backend": "c"}]}
    long = {"backends": ["b"], "larger_context": ["c"]}
    plan = compile_plan(document(backends=backends, routes={"chat": chat, "long": long}))
    places = places_of(plan)
    assert set(places.cells) == {"a", "b", "c"}
    assert {name: set(rows) for name, rows in places.rows.items()} == {
        "chat": {"", "a", "b", "c"},
        "long": {"", "b", "c"},
    }


def test_same_input_gives_an_equal_plan() -> None:
    config = load(Path("examples/gateway.yaml"), {})
    assert compile_plan(config) == compile_plan(config, places=places_of(compile_plan(config)))


def test_too_many_backends_for_the_board_are_refused() -> None:
    backends = {f"b{i}": {"protocol": "http", "url": "http://h"} for i in range(CELL_CAPACITY + 1)}
    config = document(backends=backends, routes={"r": {"backends": ["b0"]}})
    with pytest.raises(
        ConfigError, match=r"need 257 places on the board, which has 256 - at backe"
    ):
        compile_plan(config)


def test_too_many_pairs_for_the_board_are_refused() -> None:
    backends = {f"b{i}": {"protocol": "http", "url": "http://h"} for i in range(64)}
    routes = {f"r{i}": {"backends": [*backends]} for i in range(ROW_CAPACITY // 64)}
    with pytest.raises(ConfigError, match="at routes"):
        compile_plan(document(backends=backends, routes=routes))
