"""What clients see of a copy of every request to a challenger that misbehaves: nothing.

Two gateways side by side, one without copies; requests go to both in turn, so that what the
machine does meanwhile is done to both. The bound is generous in the default suite; RUN_SLOW
makes it a figure: p99 within the noise of two halves of the same run.
"""

from __future__ import annotations

import contextlib
import logging
import os
import statistics
import time
from pathlib import Path

import pytest

from tests.support import faults
from tests.support.fixtures import MakeBackend
from tests.support.gateway import GatewayThread
from tests.support.openai_model import OpenAIModel
from tests.support.raw_client import RawClient
from tests.support.script import Answerer, Reset
from tests.support.settings import Settings
from tests.support.shadows import records_in, row_of, shadowed, skipped

log = logging.getLogger(__name__)

IS_SLOW = bool(os.environ.get("RUN_SLOW"))
ROUNDS = 4000 if IS_SLOW else 300
BODY = {"model": "chat", "messages": [{"role": "user", "content": "why?"}]}
KINDS: dict[str, tuple[Answerer | None, Settings]] = {
    "dead": (None, {}),
    "slow": (faults.never(), {"timeout": "200ms", "max_concurrency": 64}),
    "crashing": (faults.end_mid_body(OpenAIModel("new"), Reset()), {}),
    "well": (None, {}),
}


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def timed(client: RawClient) -> float:
    begun = time.perf_counter()
    assert client.post_json("/v1/chat/completions", BODY).status == 200
    return time.perf_counter() - begun


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.timeout(300)
def test_latency_with_copies_is_that_without(
    kind: str, make_backend: MakeBackend, tmp_path: Path
) -> None:
    answer, limits = KINDS[kind]
    new = make_backend("new", answer)
    old = make_backend("old")
    settings = shadowed(tmp_path / "with", old, new, shadow=limits)
    plain = shadowed(tmp_path / "without", old)
    times: dict[str, list[float]] = {"with": [], "without": []}
    with contextlib.ExitStack() as stack:
        gateways = {
            "with": stack.enter_context(GatewayThread(settings)),
            "without": stack.enter_context(GatewayThread(plain)),
        }
        clients = {name: stack.enter_context(g.connect()) for name, g in gateways.items()}
        if kind == "dead":
            new.kill()
        for number in range(ROUNDS):
            for name in ("with", "without") if number % 2 else ("without", "with"):
                times[name].append(timed(clients[name]))
        row = row_of(gateways["with"], "new")
        assert row["requests"] + sum(skipped(gateways["with"], "new").values()) == ROUNDS
        gateways["with"].loop.run(gateways["with"].plane.drain())
        assert len(records_in(tmp_path / "with", row["requests"])) == row["requests"]
        if kind == "dead":
            new.revive()
    medians = {name: statistics.median(each) for name, each in times.items()}
    p99 = {name: quantile(each, 0.99) for name, each in times.items()}
    halves = [quantile(times["without"][at::2], 0.99) for at in (0, 1)]
    log.info("%s: p50 %s, p99 %s, p99 of both halves without %s", kind, medians, p99, halves)
    # Why so wide by default: in one process clients, backends and two gateways share two cores.
    slack_s = 0.5 * abs(halves[0] - halves[1]) + (0.002 if IS_SLOW else 0.030)
    assert p99["with"] <= 1.5 * p99["without"] + slack_s, (medians, p99)
