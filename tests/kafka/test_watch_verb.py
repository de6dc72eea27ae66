"""`gateway drift watch` from Kafka's messages to a gateway's admin port, as a user starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.alerts.book import Book
from gateway.alerts.finding import Look
from gateway.config.watching import DriftRule
from tests.kafka.lines import batch_of, settings
from tests.kafka.members import sending
from tests.support.kafka import new_topic
from tests.support.kafka_broker import Address
from tests.support.waiting import until
from tests.watch.test_looks import BREAK, TROUBLES, befall
from tests.watch.world import START, Traffic, trained

IS_LONG = bool(os.environ.get("RUN_SLOW"))
MINUTES = 150  # half of them in trouble
BATCH = 600  # lines
TOKEN = "violet-2277"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CONFIG = """
backends:
  fraud: {{protocol: kserve, url: "http://127.0.0.1:9"}}
routes:
  fraud: {{backends: [fraud]}}
log:
  kafka:
    bootstrap: ["{bootstrap}"]
    topic: {topic}
    create: {{partitions: 3}}
drift:
  references:
    train: {{kind: training, file: "{reference}"}}
  rules:
    inputs: {{reference: train, window: 60m, every: 5m}}
  consumer: {{source: kafka, group: {topic}, state_topic: {topic}-state}}
"""


class Admin(ThreadingHTTPServer):
    """Stands for a gateway's admin port: keeps the looks that it is told."""

    def __init__(self) -> None:
        self.looks: list[Look] = []
        self.tokens: set[str] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Admin

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.path == "/api/v1/alerts/looks"
        self.server.tokens.add(self.headers.get("authorization", ""))
        self.server.looks.append(msgspec.json.decode(body, type=Look))
        answer = b'{"watched":0,"open":[]}'
        self.send_response(202)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


@contextmanager
def admin_port() -> Iterator[Admin]:
    admin = Admin()
    thread = threading.Thread(target=admin.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield admin
    finally:
        admin.shutdown()
        thread.join()
        admin.server_close()


@contextmanager
def watching(config: Path, admin: str) -> Iterator[subprocess.Popen[bytes]]:
    """The verb, as a process of its own."""
    command = [sys.executable, "-m", "gateway", "drift", "watch", "-c", str(config)]
    command += ["--admin", admin, "--state", str(config.parent / "state")]
    command += ["--metrics", "127.0.0.1:0"]
    with (config.parent / "said.txt").open("w") as said:
        environment = os.environ | {"GATEWAY_ADMIN_TOKEN": TOKEN}
        process = subprocess.Popen(command, stderr=said, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def metrics_of(said: str) -> dict[str, float]:
    """What is on the port that it said."""
    url = next(line for line in said.splitlines() if "metrics on " in line).split()[-1]
    with urllib.request.urlopen(url, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def configured(kafka: Address, topic: str, folder: Path) -> Path:
    reference, path = folder / "train.json", folder / "gateway.yaml"
    reference.write_bytes(trained().encode())
    text = CONFIG.format(bootstrap=kafka.plain, topic=topic, reference=reference)
    path.write_text(text)
    return path


async def send(kafka: Address, topic: str, folder: Path, lines: list[bytes]) -> None:
    async with sending(settings(kafka.plain, topic), folder) as sink:
        for first in range(0, len(lines), BATCH):
            await sink.deliver(batch_of(lines[first : first + BATCH], first + 1, "s"))


def traffic_of(name: str) -> list[bytes]:
    traffic = Traffic(rows=60, befall=befall(TROUBLES[name][0]))
    lines = (line for minute in range(START, START + MINUTES) for line in traffic.minute(minute))
    # Why a request's id: it is the key, so that there is something on every partition.
    return [b'{"request_id":"%d",' % number + line[1:] for number, line in enumerate(lines)]


@pytest.mark.parametrize("name", TROUBLES if IS_LONG else ["a feature goes null"])
def test_trouble_on_kafka_becomes_one_alert(name: str, kafka: Address, tmp_path: Path) -> None:
    _change, field, kind, delay = TROUBLES[name]
    topic = new_topic()
    asyncio.run(send(kafka, topic, tmp_path, traffic_of(name)))
    with admin_port() as admin, watching(configured(kafka, topic, tmp_path), admin.url) as process:
        last = (START + MINUTES - 1) // 5 * 5 * 60_000
        until(
            lambda: admin.looks and admin.looks[-1].at_ms >= last,
            40,
            (tmp_path / "said.txt").read_text,
        )
        figures = metrics_of((tmp_path / "said.txt").read_text())
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    said = (tmp_path / "said.txt").read_text()
    assert process.returncode == 0, said
    book = Book()
    for look in admin.looks:
        book.take(look, DriftRule(reference="train"), 60 * 10**9)
    (alert,) = book.alerts.values()
    (symptom,) = alert.symptoms.values()
    assert (symptom.finding.field, symptom.finding.kind) == (field, kind)
    assert alert.opened_ms // 60_000 - BREAK <= delay
    assert len(symptom.finding.requests) == 3
    assert admin.tokens == {f"Bearer {TOKEN}"}
    assert f"3 of 3 partitions; {60 * MINUTES:,} records counted, 0 behind; leads, " in said
    assert said.endswith("; ended\n")
    assert TOKEN not in said
    assert figures['gateway_watch_lines_total{result="counted"}'] == 60 * MINUTES
    assert figures['gateway_watch_lines_total{result="malformed"}'] == 0
    assert [figures[f'gateway_watch_lag{{partition="{each}"}}'] for each in range(3)] == [0] * 3
    assert figures["gateway_watch_leads"] == figures["gateway_watch_rebalances_total"] == 1
    assert figures["gateway_watch_looks_total"] == len(admin.looks)
    assert figures["gateway_watch_flush_seconds_count"] >= 3
    assert figures["gateway_watch_problems"] == 0
    assert START * 60 < figures["gateway_watch_data_timestamp_seconds"] < time.time()
    assert TOKEN not in str(figures)
