"""Limits of copies with several workers: what they share, and what each has for itself."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway.messages import Record
from tests.support import faults
from tests.support.answers import plays
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess
from tests.support.logged import metric
from tests.support.openai_model import OpenAIModel
from tests.support.shadows import records_in, shadowed
from tests.support.waiting import until

pytestmark = pytest.mark.e2e

WORKERS = 2
# Each over a connection of its own, which goes to either worker by chance: with so many, one
# of both had none of them once in a million runs.
ASKED = 20
MODEL = OpenAIModel("new")
LABELS = '{route="chat",backend="shadow:new"'


def start(make_process: MakeProcess, old: Backend, new: Backend, **shadow: Any) -> GatewayProcess:
    """Both workers accept: while one is late, the other does so for it."""
    each = shadow.pop("each", {})
    settings = shadowed(Path("unused"), old, new, each=each, shadow={"timeout": "60s", **shadow})
    gateway = make_process({**settings, "workers": WORKERS})
    until(gateway.plan_hash, 10.0, gateway.log)
    return gateway


def ask(gateway: GatewayProcess, text: str = "why?") -> None:
    body = {"model": "chat", "messages": [{"role": "user", "content": text}]}
    with gateway.connect(timeout_s=10) as client:
        assert client.post_json("/v1/chat/completions", body).status == 200


def skipped(gateway: GatewayProcess, reason: str) -> int:
    name = "gateway_shadow_skipped_total"
    return int(metric(gateway, name, f'{LABELS},reason="{reason}"}}'))


def await_skipped(gateway: GatewayProcess, reason: str, count: int) -> None:
    """Counted once the client has its answer, so perhaps a moment later."""
    until(lambda: skipped(gateway, reason) == count, 5.0, why=lambda: skipped(gateway, reason))


def records(gateway: GatewayProcess, count: int, kind: str = "shadow") -> list[Record]:
    return records_in(gateway.folder / "state", count, kind)


def workers_of(found: list[Record]) -> Counter[int]:
    return Counter(one.worker for one in found)


def test_copies_at_once_are_those_of_all_workers(
    make_backend: MakeBackend, make_process: MakeProcess, gate: threading.Event
) -> None:
    new = make_backend("new", faults.held(gate, plays(MODEL)))
    gateway = start(make_process, make_backend("old"), new, max_concurrency=4)
    for _ in range(ASKED):
        ask(gateway)
    until(lambda: len(new.received) == 4, 5.0)
    await_skipped(gateway, "concurrency", ASKED - 4)
    assert set(workers_of(records(gateway, ASKED, "prediction"))) == {0, 1}
    gate.set()
    assert {one.outcome for one in records(gateway, 4)} == {"ok"}
    ask(gateway)  # they are over, so that there is room again
    until(lambda: len(new.received) == 5, 5.0)


def test_copies_that_begin_at_one_moment_are_hardly_more(
    make_backend: MakeBackend, make_process: MakeProcess, gate: threading.Event
) -> None:
    """Looked at first, then begun: at most one too many for each other worker."""
    old = make_backend("old", faults.after(0.05, plays(OpenAIModel("old"))))
    new = make_backend("new", faults.held(gate, plays(MODEL)))
    gateway = start(make_process, old, new, max_concurrency=4)
    with ThreadPoolExecutor(ASKED) as pool:
        list(pool.map(lambda _: ask(gateway), range(ASKED)))
    until(lambda: skipped(gateway, "concurrency") + len(new.received) == ASKED, 5.0)
    begun = len(new.received)
    assert 4 <= begun <= 4 + WORKERS - 1
    gate.set()
    assert len(records(gateway, begun)) == begun


def test_memory_of_copies_is_each_worker_s_own(
    make_backend: MakeBackend, make_process: MakeProcess, gate: threading.Event
) -> None:
    """A copy may hold its request and two answers of `max_body`: here there is room for two."""
    new = make_backend("new", faults.held(gate, plays(MODEL)))
    limits = {"max_body": "64KiB", "max_memory": "300KiB"}
    gateway = start(make_process, make_backend("old"), new, **limits)
    for _ in range(ASKED):
        ask(gateway)
    asked = workers_of(records(gateway, ASKED, "prediction"))
    begun = {worker: min(count, 2) for worker, count in asked.items()}
    assert set(begun) == {0, 1}
    await_skipped(gateway, "memory", ASKED - sum(begun.values()))
    gate.set()
    assert workers_of(records(gateway, sum(begun.values()))) == begun


def test_money_is_spent_by_all_workers_and_stays_spent_when_one_dies(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    old, new = make_backend("old"), make_backend("new")
    price = {"price": {"request": 0.01}}
    gateway = start(make_process, old, new, each=price, max_usd_per_day=0.115)
    for number in range(1, ASKED + 1):
        ask(gateway)
        records(gateway, min(number, 12))  # paid
    await_skipped(gateway, "money", ASKED - 12)
    copies = records(gateway, 12)
    assert set(workers_of(copies)) == {0, 1}
    assert sum(one.cost_usd or 0.0 for one in copies) == pytest.approx(0.12)
    before = set(gateway.workers())
    os.kill(min(before), signal.SIGKILL)
    until(lambda: len({*gateway.workers()} - before) == 1 and gateway.plan_hash(), 10.0)
    for _ in range(ASKED):
        ask(gateway)
    await_skipped(gateway, "money", 2 * ASKED - 12)
    assert len(new.received) == 12
