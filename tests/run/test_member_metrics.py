"""What a member of the group that watches answers on its metrics port."""

from __future__ import annotations

import asyncio
import socket
import time
import urllib.request
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from gateway.control.metric_text import OPENMETRICS, PROMETHEUS
from gateway.errors import ConfigError, GatewayError
from gateway.run.member_metrics import listening_on, render, served
from gateway.telemetry import MEMBER_METRICS
from gateway.watch.basis import Bases
from gateway.watch.group.status import Status
from gateway.watch.tally import RESULTS

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class _Watching:
    """As far as metrics ask a watcher; it leads."""

    def __init__(self, **status: Any) -> None:
        self.member, self.sentence = self, "looking is held up: no broker answers"
        self.status = Status(of=12, **status)
        self.bases = Bases(learning=("chat",), problems=("drift.references.old: no file",))
        self.leads, self.looks, self.looked_at_s = True, 7, time.time()
        self.watermark: int | None = 29_000_000


class _Held:
    """A partition."""

    def __init__(self, lag: int, lost: int = 0) -> None:
        self.lag, self.lost, self.told = lag, lost, {"counted": 5}


def watching() -> Any:
    found = _Watching(missed=4, rebalances=2, fenced=1, failed_flushes=3)
    found.status.see({0: _Held(0), 3: _Held(89, lost=4)}, 12)
    found.status.results.update(counted=1_234_567, malformed=2)
    for seconds in (0.004, 0.05, 99.0):
        found.status.flushes.add(seconds)
    return found


def samples_of(text: str, parse: Any = text_string_to_metric_families) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_every_metric_of_the_table_is_there_with_its_labels() -> None:
    samples = samples_of(render(watching()))
    for metric in MEMBER_METRICS:
        suffix = "_count" if metric.kind == "histogram" else ""
        labels = [{k for k, _ in key[1]} for key in samples if key[0] == metric.name + suffix]
        assert labels, f"{metric.name} is not there"
        assert all(each == set(metric.labels) for each in labels)


def test_figures_are_those_of_the_member() -> None:
    samples = samples_of(render(watching()))
    assert value(samples, "gateway_watch_lines_total", result="counted") == 1_234_567
    assert value(samples, "gateway_watch_lines_total", result="duplicate") == 0
    assert value(samples, "gateway_watch_lag", partition="3") == 89
    assert value(samples, "gateway_watch_partitions") == 2
    assert value(samples, "gateway_watch_topic_partitions") == 12
    assert value(samples, "gateway_watch_lost_total") == 4
    assert value(samples, "gateway_watch_flush_seconds_count") == 3
    assert value(samples, "gateway_watch_flush_seconds_bucket", le="0.05") == 2
    assert value(samples, "gateway_watch_flush_seconds_bucket", le="+Inf") == 3
    assert value(samples, "gateway_watch_data_timestamp_seconds") == 29_000_000 * 60
    assert value(samples, "gateway_watch_problems") == 2
    assert value(samples, "gateway_process_resident_memory_bytes", process="watch") > 0


def test_label_values_are_partitions_and_results_whatever_came() -> None:
    samples = samples_of(render(watching()))
    values = {pair for _name, labels in samples for pair in labels if pair[0] != "le"}
    assert {each for key, each in values if key == "result"} == set(RESULTS)
    assert {each for key, each in values if key == "partition"} == {"0", "3"}


def test_what_is_not_known_has_no_series() -> None:
    found = watching()
    found.watermark, found.looks, found.status = None, 0, Status()
    text = render(found)
    for name in ("data_timestamp", "last_look", "flush_seconds", "lag{"):
        assert f"gateway_watch_{name}" not in text


def test_openmetrics_is_read_by_its_own_parser() -> None:
    text = render(watching(), is_openmetrics=True)
    assert value(samples_of(text, openmetrics.text_string_to_metric_families),
                 "gateway_watch_fenced_total") == 1  # fmt: skip


def asked(port: int, path: str, accept: str = "*/*") -> tuple[str, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"accept": accept})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.headers["content-type"], answer.read().decode()


async def test_the_port_answers_while_the_member_runs_and_not_after() -> None:
    listeners = listening_on("127.0.0.1:0")
    port = listeners[0].getsockname()[1]
    async with served(watching(), listeners):
        plain, text = await asyncio.to_thread(asked, port, "/metrics")
        other, _ = await asyncio.to_thread(asked, port, "/metrics", "application/openmetrics-text")
        assert (await asyncio.to_thread(asked, port, "/livez"))[1] == "ok\n"
    assert (plain, other) == (PROMETHEUS, OPENMETRICS)
    assert "gateway_watch_lines_total" in text
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", port)):
        pass


@pytest.mark.parametrize("address", ["9465", "localhost", "127.0.0.1:", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_refused_with_an_example(address: str) -> None:
    with pytest.raises(ConfigError, match=r"such as 127\.0\.0\.1:9465"):
        listening_on(address)


def test_a_port_that_is_taken_is_refused() -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    with taken, pytest.raises(GatewayError, match="in use"):
        listening_on(f"127.0.0.1:{taken.getsockname()[1]}")
