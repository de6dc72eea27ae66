"""What status, routes and backends say for what is on the board."""

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.control.backends import BackendFigures
from gateway.control.overview import Overview, health_of, success_share, url_of
from gateway.control.parts import Worker
from gateway.control.recent import EVERY_NS, Recent
from gateway.plan import BackendPlan, FallbackPlan, Plan, QueuePlan, SloPlan
from tests.control.alerts import FakeAlerts, FakeStanding
from tests.control.parts import FakeGateway
from tests.control.plans import blank, make_plan, with_shadow

MS = 1_000_000


def with_route(plan: Plan, **changes: Any) -> Plan:
    return replace(plan, routes=(replace(plan.routes[0], **changes), *plan.routes[1:]))


def looked_at(gateway: FakeGateway, *, per_row: dict[int, dict[str, int]]) -> Overview:
    """An overview ten seconds after these rows began to count."""
    gateway.board.rows["key"] = 1
    recent = Recent(gateway.parts.board)
    for _ in range(2):
        recent.take(gateway.plan, gateway.now_ns)
        gateway.now_ns += EVERY_NS
    for row, figures in per_row.items():
        for name, value in figures.items():
            gateway.board.rows[name][0, row] = value
    return Overview(gateway.parts, recent)


def test_route_shows_rate_share_and_cost_of_its_attempts() -> None:
    gateway = FakeGateway()
    gateway.board.rows["outcomes"][1, 0, 0] = 0
    overview = looked_at(
        gateway,
        per_row={
            0: {"requests": 100, "in_flight": 3, "queued": 2},
            1: {"requests": 60, "cost_nano_usd": 1_000_000_000},
            2: {"requests": 40},
        },
    )
    gateway.board.rows["outcomes"][0, 0, 0] = 95
    gateway.board.rows["outcomes"][0, 0, 39] = 5
    route = overview.routes()[0]
    assert route.traffic.requests_per_s == pytest.approx(10)
    assert route.traffic.success_share == pytest.approx(0.95)
    assert (route.traffic.in_flight, route.traffic.queued) == (3, 2)
    assert route.traffic.cost_per_hour_usd == pytest.approx(360)
    assert route.outcomes == {"ok": 95, "upstream_5xx": 5}
    assert [(c.backend, c.share) for c in route.candidates] == [("mini", 0.6), ("local", 0.4)]
    assert route.totals.cost_usd == pytest.approx(1)
    assert route.rates_per_s == pytest.approx((0, 20))


def test_route_without_traffic_has_nothing_to_judge() -> None:
    route = looked_at(FakeGateway(), per_row={}).routes()[0]
    assert route.traffic.success_share is None
    assert route.total.p50_s is None
    assert route.candidates[0].share is None


@pytest.mark.parametrize("limit_ms,is_met", [(60, True), (40, False)])
def test_slo_is_compared_with_the_last_minute(limit_ms: int, is_met: bool) -> None:
    gateway = FakeGateway()
    slo = SloPlan(metric="total", quantile=2, limit_ns=limit_ms * MS)
    gateway.configuration.plan = with_route(gateway.plan, slo=slo)
    overview = looked_at(gateway, per_row={0: {"requests": 1}})
    gateway.board.observe(0, 0, "total_ns", *[50 * MS] * 20)
    found = overview.routes()[0].slo
    assert found is not None
    assert (found.metric, found.quantile, found.is_met) == ("total", "p95", is_met)
    assert found.actual_s == pytest.approx(0.05, rel=0.06)


def test_slo_that_was_not_measured_is_neither_met_nor_missed() -> None:
    gateway = FakeGateway()
    slo = SloPlan(metric="first_byte", quantile=0, limit_ns=MS)
    gateway.configuration.plan = with_route(
        gateway.plan, slo=slo, queue=blank(QueuePlan, maximum=9)
    )
    route = looked_at(gateway, per_row={}).routes()[0]
    assert route.slo is not None
    assert route.slo.is_met is None
    assert route.queue_max == 9


def test_backend_adds_up_the_routes_that_use_it() -> None:
    gateway = FakeGateway()
    overview = looked_at(gateway, per_row={1: {"requests": 50, "output_tokens": 9}})
    gateway.board.cells["open_until_ns"][0] = gateway.now_ns + 5_000_000_000
    mini = overview.backends()[0]
    assert (mini.name, mini.routes) == ("mini", ("chat",))
    assert mini.attempts_per_s == pytest.approx(5)
    assert mini.totals.output_tokens == 9
    assert (mini.now.state, mini.now.breaker) == ("open", "open")


def test_status_holds_everything_at_a_glance() -> None:
    gateway = FakeGateway()
    gateway.configuration.texts = {"a": "", "b": ""}
    status = looked_at(gateway, per_row={0: {"requests": 10}, 3: {"requests": 30}}).status()
    assert status.health == "ok"
    assert status.traffic.requests_per_s == pytest.approx(4)
    assert status.uptime_s == pytest.approx(3610)
    assert status.at == "2025-10-09T08:53:30Z"
    assert len(status.routes) == 2
    assert len(status.backends) == 3
    assert len(status.workers) == 2
    assert [change.hash for change in status.changes] == ["a", "b"]


def backend_in(state: str) -> BackendFigures:
    return blank(BackendFigures, name=state, is_up=state == "up")


def worker(is_up: bool) -> Worker:
    return blank(Worker, is_up=is_up)


@pytest.mark.parametrize(
    "states,workers,is_draining,health,part",
    [
        (["up", "up"], [True, True], False, "ok", "Everything"),
        (["up", "open"], [True, True], False, "degraded", "open is"),
        (["up", "open", "full"], [True], False, "degraded", "open and full are"),
        (["up", *["open"] * 4], [True], False, "degraded", "4 backends are"),
        (["up"], [True, False], False, "degraded", "1 of 2 workers"),
        (["open", "open"], [True], False, "down", "No backend"),
        (["up"], [False], False, "down", "No worker"),
        (["up"], [], False, "down", "No worker"),
        ([], [True], False, "ok", "Everything"),
        (["open"], [True], True, "draining", "finishing"),
    ],
)
def test_whole_gateway_is_one_word_and_one_sentence(
    states: list[str], workers: list[bool], is_draining: bool, health: str, part: str
) -> None:
    backends = [backend_in(state) for state in states]
    found = health_of(backends, [worker(up) for up in workers], {}, is_draining=is_draining)
    assert found[0] == health
    assert part in found[1]


@pytest.mark.parametrize(
    "candidates,end",
    [
        ({"chat": ["open", "up"]}, "the others stand in."),
        ({"chat": ["open", "up"], "fraud": ["open"]}, "no candidate of the route fraud is left."),
        ({"chat": ["open"], "fraud": ["open"]}, "no candidate of 2 routes is left."),
    ],
)
def test_backend_that_is_alone_on_its_route_is_not_stood_in_for(
    candidates: dict[str, list[str]], end: str
) -> None:
    backends = [backend_in("up"), backend_in("open")]
    found = health_of(backends, [worker(True)], candidates, is_draining=False)
    assert found == ("degraded", f"open is not taking requests; {end}")


@pytest.mark.parametrize(
    "outcomes,share",
    [
        ({}, None),
        ({0: 10}, 1),
        ({0: 9, 39: 1}, 0.9),
        ({0: 9, 22: 1}, 0.9),
        ({0: 9, 1: 50, 38: 50, 41: 3}, 1),
        ({38: 5}, None),
    ],
)
def test_clients_own_faults_do_not_count(outcomes: dict[int, int], share: float | None) -> None:
    counts = [outcomes.get(number, 0) for number in range(64)]
    assert success_share(counts) == share


def test_url_of_a_backend_holds_no_credential() -> None:
    https = blank(BackendPlan, scheme="https", authority="api.example.com", base_path="/v1")
    unix = blank(BackendPlan, scheme="unix", host="/run/model.sock", base_path="/v1")
    assert url_of(https) == "https://api.example.com/v1"
    assert url_of(unix) == "unix:///run/model.sock:/v1"


def test_backend_of_a_fallback_chain_counts_for_its_route() -> None:
    gateway = FakeGateway()
    step = blank(FallbackPlan, kind="backend", index=2, row=9)
    gateway.configuration.plan = with_route(gateway.plan, fallback=(step,))
    overview = looked_at(gateway, per_row={9: {"requests": 20, "cost_nano_usd": 3_000_000_000}})
    assert overview.backends()[2].routes == ("chat", "fraud")
    assert overview.backends()[2].attempts_per_s == pytest.approx(2)
    assert overview.routes()[0].totals.cost_usd == pytest.approx(3)


def test_history_is_read_again_only_when_something_was_offered() -> None:
    gateway = FakeGateway()
    overview = looked_at(gateway, per_row={})
    gateway.configuration.texts = {"a": ""}
    assert [change.hash for change in overview.status().changes] == ["a"]
    gateway.configuration.texts = {"b": ""}
    assert [change.hash for change in overview.status().changes] == ["a"]
    gateway.configuration.reloads["refused"] = 1
    assert [change.hash for change in overview.status().changes] == ["b"]


def test_backend_of_copies_neither_harms_nor_hides_the_health_of_the_gateway() -> None:
    dead = replace(backend_in("open"), name="shadow:new")
    found = health_of([backend_in("up"), dead], [worker(True)], {}, is_draining=False)
    assert found[0] == "ok"
    alive = replace(backend_in("up"), name="shadow:new")
    found = health_of([backend_in("open"), alive], [worker(True)], {}, is_draining=False)
    assert found[0] == "down"


def test_copies_are_no_part_of_what_a_route_costs() -> None:
    gateway = FakeGateway(plan=with_shadow(make_plan({"chat": ["mini"]}), "next"))
    cost = {"requests": 1, "cost_nano_usd": 1_000_000_000}
    overview = looked_at(gateway, per_row={0: {"requests": 1}, 1: cost, 2: cost})
    assert overview.routes()[0].totals.cost_usd == pytest.approx(1.0)
    assert overview.routes()[0].traffic.cost_per_hour_usd == pytest.approx(360)
    costs = {backend.name: backend.totals.cost_usd for backend in overview.backends()}
    assert costs == {"mini": pytest.approx(1.0), "shadow:next": pytest.approx(1.0)}


def test_open_alerts_are_on_the_status_page() -> None:
    gateway = FakeGateway()
    gateway.parts = replace(gateway.parts, alerts=FakeAlerts())
    (line,) = looked_at(gateway, per_row={}).status().alerts
    assert (line.severity, line.followers, line.is_silent) == ("critical", 1, False)
    assert line.title == "values are missing: amount"


def test_looks_of_drift_are_on_the_status_page() -> None:
    gateway = FakeGateway()
    gateway.parts = replace(gateway.parts, alerts=FakeAlerts())
    (line,) = looked_at(gateway, per_row={}).status().looks
    assert (line.route, line.rule, line.looks, line.findings) == ("scores", "inputs", 7, 2)
    assert line.named == ("amount", "age")
    assert line.at.startswith("2025-10-09T")


def test_watch_says_what_it_cannot_look_at() -> None:
    gateway = FakeGateway()
    assert looked_at(gateway, per_row={}).status().watch is None
    gateway.parts = replace(gateway.parts, watch=FakeStanding)
    watch = looked_at(gateway, per_row={}).status().watch
    assert watch is not None
    assert (watch.data_until, watch.rules) == ("2025-02-19T21:20:00Z", 2)
    assert watch.notes == (
        "there is no file `train.csv`.",
        "The fields of `chat` are being learned.",
    )
