"""The prediction log as the admin port shows it."""

from __future__ import annotations

import msgspec
import pytest

from gateway.control.exposition import render
from gateway.log.figures import LogFigures
from tests.control.log import make_figures, make_sink
from tests.control.parts import FakeGateway


def gateway_with(figures: LogFigures | None, *, is_enabled: bool = True) -> FakeGateway:
    gateway = FakeGateway()
    plan = gateway.configuration.plan
    log = msgspec.structs.replace(plan.log, enabled=is_enabled)
    gateway.configuration.plan = msgspec.structs.replace(plan, log=log)
    gateway.log_figures = figures
    return gateway


def answer_of(figures: LogFigures | None, *, is_enabled: bool = True) -> dict[str, object]:
    with gateway_with(figures, is_enabled=is_enabled).client() as client:
        answer: dict[str, object] = client.get("/api/v1/log").json()
        return answer


def test_log_in_order_says_what_each_sink_has() -> None:
    answer = answer_of(
        make_figures(make_sink("store"), make_sink("kafka", shipped=900, waiting=293, dropped=7))
    )
    assert answer["health"] == "ok"
    assert answer["sentence"] == (
        "The log is in order; store has 1,000 records, 200 on their way;"
        " kafka has 900 records, 293 on their way, 7 dropped."
    )


@pytest.mark.parametrize(
    "figures, sentence",
    [
        (
            make_figures(make_sink("kafka", failures=3, error="no broker answers")),
            "kafka takes no records: no broker answers.",
        ),
        (make_figures(make_sink("store", lag_s=61.0)), "store is 61 s behind."),
        (make_figures(make_sink("store", error="no space")), "store: no space."),
        (make_figures(error="x cannot be sealed"), "The log's files: x cannot be sealed."),
        (
            make_figures(segment_bytes=90, max_bytes=100),
            "What waits on disk has nearly reached log.max_size.",
        ),
        (None, "The shipper does not run: records wait on disk."),
    ],
    ids=["failing", "late", "error", "files", "full", "away"],
)
def test_log_out_of_order_says_why(figures: LogFigures | None, sentence: str) -> None:
    answer = answer_of(figures)
    assert (answer["health"], answer["sentence"]) == ("degraded", sentence)


def test_records_that_found_no_room_are_told_where_no_shipper_runs() -> None:
    gateway = gateway_with(None)
    gateway.board.seats["records_dropped"][:2] = 1200, 34
    with gateway.client() as client:
        sentence = client.get("/api/v1/log").json()["sentence"]
    assert sentence == (
        "The shipper does not run: records wait on disk; 1,234 found no room and were dropped."
    )


def test_log_that_is_off_is_no_complaint() -> None:
    assert answer_of(None, is_enabled=False)["health"] == "off"


def test_status_holds_the_log() -> None:
    with gateway_with(make_figures()).client() as client:
        assert client.get("/api/v1/status").json()["log"]["health"] == "ok"


def test_metrics_without_a_shipper_say_so() -> None:
    text = render(gateway_with(None).parts)
    assert "gateway_log_shipper_up 0\n" in text
    assert "gateway_log_sink" not in text
    assert "gateway_log_" not in render(gateway_with(None, is_enabled=False).parts)


def test_metrics_of_a_sink_are_its_balance() -> None:
    text = render(gateway_with(make_figures(make_sink("kafka", dropped=5))).parts)
    assert 'gateway_log_sink_shipped_total{sink="kafka"} 1000\n' in text
    assert 'gateway_log_sink_dropped_total{sink="kafka"} 5\n' in text
    assert "gateway_log_shipper_up 1\n" in text
