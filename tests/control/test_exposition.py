"""`/metrics`, read back by prometheus_client's own parsers."""

import time
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

from gateway.contracts.anomalies import slot_of
from gateway.control.exposition import render
from gateway.control.figures import HISTOGRAMS, BoardView
from gateway.control.metric_text import is_openmetrics_wanted
from gateway.errors import OUTCOMES
from gateway.notices.receiver import ReceiverFigures
from gateway.telemetry import MEMBER_METRICS, METRICS, SKIPS
from tests.control.alerts import FakeAlerts, FakeStanding
from tests.control.board import FakeBoard
from tests.control.desk import FakeDesk
from tests.control.parts import FakeGateway
from tests.control.plans import make_plan, with_shadow

MS = 1_000_000
read_openmetrics: Any = openmetrics.text_string_to_metric_families
WEBHOOK = ReceiverFigures(place="ops:80", format="json", told=2, given_up=1, dropped=0, waiting=3)
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def make_gateway() -> FakeGateway:
    """Something of everything: traffic on `chat`, an open breaker at `local`, copies to `next`."""
    plan = with_shadow(make_plan({"chat": ["mini", "local"]}, max_concurrency=8), "next")
    gateway = FakeGateway(plan=plan)
    rows, cells = gateway.board.rows, gateway.board.cells
    rows["skips"][:, 3, SKIPS.index("money")] = 2
    rows["anomalies"][0, 0, slot_of("input", "RULE_VIOLATED")] = 1
    rows["uncompared"][:, 3] = rows["requests"][:, 3] = 1
    rows["requests"][:, :3] = 7
    rows["outcomes"][0, :2, 0] = 5
    rows["outcomes"][1, :2, 39] = 2
    rows["statuses"][0, 0, 2] = 5
    rows["cost_nano_usd"][0, 1] = 2_500_000_000
    rows["in_flight"][:, 0] = [1, 2]
    cells["open_until_ns"][1] = gateway.now_ns + 9_000_000_000
    for name in HISTOGRAMS:
        gateway.board.observe(0, 0, name, 5 * MS, 40 * MS)
        gateway.board.observe(1, 1, name, 700 * MS)
    return gateway


def samples_of(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in read_prometheus(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"gateway_{name}", frozenset(labels.items())]


def test_copies_that_were_not_sent_are_counted_by_reason() -> None:
    samples = samples_of(render(make_gateway().parts))
    labels = {"route": "chat", "backend": "shadow:next"}
    assert value(samples, "shadow_skipped_total", **labels, reason="money") == 4
    assert value(samples, "shadow_skipped_total", **labels, reason="concurrency") == 0
    assert value(samples, "shadow_uncompared_total", **labels) == 2


def test_reasons_are_those_of_the_compiled_part() -> None:
    mirror = pytest.importorskip("gateway._fast.mirror", exc_type=ImportError)
    assert mirror.SKIPS == SKIPS


def test_both_forms_hold_the_same_samples() -> None:
    gateway = make_gateway()
    plain = samples_of(render(gateway.parts))
    text = render(gateway.parts, is_openmetrics=True)
    strict = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in read_openmetrics(text)
        for sample in family.samples
    }
    volatile = "gateway_process_"
    assert {k: v for k, v in plain.items() if not k[0].startswith(volatile)} == {
        k: v for k, v in strict.items() if not k[0].startswith(volatile)
    }


def test_every_metric_of_the_table_is_exported_with_its_labels() -> None:
    gateway = make_gateway()
    gateway.board.cells["bytes_per_token"] = 3.7
    parts = replace(gateway.parts, rollouts=FakeDesk(), webhooks=lambda: (WEBHOOK,))
    parts = replace(parts, alerts=FakeAlerts(), watch=FakeStanding)
    samples = samples_of(render(parts))
    for metric in set(METRICS) - set(MEMBER_METRICS):
        suffix = "_count" if metric.kind == "histogram" else ""
        labels = [{k for k, _ in key[1]} for key in samples if key[0] == metric.name + suffix]
        assert labels, f"{metric.name} is not exported"
        assert all(found == set(metric.labels) for found in labels)


def test_nothing_is_exported_that_the_table_does_not_name() -> None:
    families = {
        family.name
        for family in read_openmetrics(render(make_gateway().parts, is_openmetrics=True))
    }
    assert families <= {metric.name.removesuffix("_total") for metric in METRICS}


def test_counters_are_added_up_and_scaled() -> None:
    samples = samples_of(render(make_gateway().parts))
    assert value(samples, "requests_total", route="chat", outcome="ok") == 5
    assert value(samples, "requests_total", route="chat", outcome="upstream_5xx") == 2
    assert value(samples, "attempts_total", route="chat", backend="mini", outcome="ok") == 5
    assert value(samples, "answers_total", route="chat", status="2xx") == 5
    assert value(samples, "cost_usd_total", route="chat", backend="mini") == pytest.approx(2.5)
    assert value(samples, "requests_in_flight", route="chat") == 3


def test_good_outcome_is_there_before_its_first_event() -> None:
    samples = samples_of(render(FakeGateway().parts))
    assert value(samples, "requests_total", route="chat", outcome="ok") == 0
    outcomes = [key for key in samples if key[0] == "gateway_requests_total"]
    assert len(outcomes) == 2  # one for each route


def test_every_outcome_has_its_own_series() -> None:
    gateway = FakeGateway()
    gateway.board.rows["outcomes"][0, 0, : len(OUTCOMES)] = range(1, 1 + len(OUTCOMES))
    samples = samples_of(render(gateway.parts))
    for number, outcome in enumerate(OUTCOMES, 1):
        assert value(samples, "requests_total", route="chat", outcome=outcome.reason) == number


def test_histogram_is_cumulative_and_ends_with_the_count() -> None:
    samples = samples_of(render(make_gateway().parts))
    name, route = "request_duration_seconds", {"route": "chat"}
    assert value(samples, f"{name}_bucket", le="0.01", **route) == 1
    assert value(samples, f"{name}_bucket", le="0.05", **route) == 2
    assert value(samples, f"{name}_bucket", le="+Inf", **route) == 2
    assert value(samples, f"{name}_count", **route) == 2
    assert value(samples, f"{name}_sum", **route) == pytest.approx(0.045)


def test_backend_series_say_what_the_breaker_does() -> None:
    samples = samples_of(render(make_gateway().parts))
    states = {
        state: value(samples, "backend_breaker_state", backend="local", state=state)
        for state in ("closed", "open", "half_open")
    }
    assert states == {"closed": 0, "open": 1, "half_open": 0}
    assert value(samples, "backend_up", backend="local") == 0
    assert value(samples, "backend_up", backend="mini") == 1
    assert value(samples, "backend_cooldown_seconds", backend="local") == pytest.approx(9)
    assert value(samples, "backend_remaining_capacity", backend="mini") == 8


def test_unlimited_backend_has_no_limit_series() -> None:
    samples = samples_of(render(FakeGateway().parts))
    assert not [key for key in samples if key[0] == "gateway_backend_concurrency_limit"]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "100%s", "ü"])
def test_odd_names_are_escaped(name: str) -> None:
    gateway = FakeGateway(plan=make_plan({name: [name]}))
    gateway.board.rows["requests"][0, 0] = 1
    gateway.board.observe(0, 0, "total_ns", 5 * MS)
    samples = samples_of(render(gateway.parts))
    assert value(samples, "requests_started_total", route=name) == 1
    assert value(samples, "request_duration_seconds_count", route=name) == 1


@pytest.mark.parametrize(
    "accept,is_wanted",
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2", True),
        ("text/plain, application/openmetrics-text; version=0.0.1", True),
    ],
)
def test_openmetrics_is_for_those_who_name_it(accept: str, is_wanted: bool) -> None:
    assert is_openmetrics_wanted(accept) is is_wanted


def test_rendering_of_a_large_plan_takes_little_time() -> None:
    routes = {f"route-{r}": [f"backend-{r % 10}-{b}" for b in range(8)] for r in range(50)}
    board: Any = FakeBoard(workers=2, rows=450, backends=80)
    board.rows["requests"] = 1
    for name in HISTOGRAMS:
        counts: Any = board.rows[name]
        counts["counts"][:, :, 1800:3000:30] = 1
        counts["total"], counts["sum"] = 40, 10**12
    gateway = FakeGateway(plan=make_plan(routes), board=board)
    assert isinstance(gateway.parts.board, BoardView)
    text, times = "", []
    for _ in range(4):
        begun = time.process_time()
        text = render(gateway.parts)
        times.append(time.process_time() - begun)
    assert text.count("\n") > 30_000
    # 45 ms of CPU on the machine of the benchmarks; the rest is for slow and shared ones.
    assert min(times) < 0.25


def test_webhooks_of_one_place_are_one_series() -> None:
    first, second = WEBHOOK, replace(WEBHOOK, format="slack", told=5)
    gateway = FakeGateway()
    parts = replace(gateway.parts, webhooks=lambda: (first, second, replace(first, place="x:1")))
    samples = samples_of(render(parts))
    assert value(samples, "notices_told_total", webhook="ops:80") == 7
    assert value(samples, "notices_given_up_total", webhook="x:1") == 1
    assert value(samples, "notices_waiting", webhook="ops:80") == 6


def test_alerts_are_counted_by_severity() -> None:
    gateway = make_gateway()
    samples = samples_of(render(replace(gateway.parts, alerts=FakeAlerts())))
    found = {labels: value for (name, labels), value in samples.items() if name.endswith("s_open")}
    by_severity = {dict(labels)["severity"]: value for labels, value in found.items()}
    assert by_severity == {"critical": 1, "warning": 0, "info": 0}


def test_watch_says_how_far_it_is() -> None:
    samples = samples_of(render(replace(make_gateway().parts, watch=FakeStanding)))
    assert value(samples, "drift_data_timestamp_seconds") == 1_740_000_000
    assert value(samples, "drift_problems") == 1
    assert value(samples, "drift_looks_skipped_total") == 4


def test_looks_are_counted_by_route_and_rule() -> None:
    gateway = make_gateway()
    samples = samples_of(render(replace(gateway.parts, alerts=FakeAlerts())))
    where = {"route": "scores", "rule": "inputs"}
    assert value(samples, "drift_looks_total", **where) == 7
    assert value(samples, "drift_looks_found_total", **where) == 2
    assert value(samples, "drift_findings", **where) == 2
    at_s = value(samples, "drift_last_look_timestamp_seconds", **where)
    assert at_s == pytest.approx(1_760_000_000)


def test_anomalies_are_counted_by_side_and_name() -> None:
    gateway = FakeGateway()
    counted = gateway.board.rows["anomalies"][0, 0]
    counted[slot_of("input", "RULE_VIOLATED")] = 3
    counted[slot_of("output", "SCHEMA_NEW_COLUMN")] = 1
    samples = samples_of(render(gateway.parts))
    found = {labels: n for (name, labels), n in samples.items() if "anomalies" in name}
    assert {(dict(k)["side"], dict(k)["anomaly"]): n for k, n in found.items()} == {
        ("input", "RULE_VIOLATED"): 3,
        ("output", "SCHEMA_NEW_COLUMN"): 1,
    }


def test_lines_that_were_counted_are_told_by_result() -> None:
    samples = samples_of(render(make_gateway().parts))
    assert value(samples, "drift_lines_total", result="counted") == 90
    assert value(samples, "drift_lines_total", result="duplicate") == 2
