"""From Kafka to a page: records on a real broker, a group that watches, a gateway that tells.

Records of seven routes over three and a half hours, six of which meet a trouble, are on the
topic; two members of `gateway drift watch` count them; the looks go to a running gateway,
whose webhook is called: once a trouble, with what it is, since when, and whom it hit.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.shipper.sink import Batch
from tests.kafka.lines import batch_of, deliver, settings, sink_for
from tests.notices.webhooks import GOOD, WebhookServer
from tests.support.gateway import ROOT, GatewayProcess
from tests.support.kafka import kafka, new_topic
from tests.support.kafka_broker import Address
from tests.support.waiting import until
from tests.watch.test_looks import TROUBLES
from tests.watch.world import Befall, Traffic, trained

__all__ = ["kafka"]

MINUTES, ROWS = 210, 60
EVERY = 5  # minutes between looks, which do not begin when troubles do
QUIET = "quiet"
READ_S = 90.0


def route_of(trouble: str) -> str:
    return trouble.replace(" ", "-")


def broken_at(trouble: str, first: int) -> int:
    """Minute. Each has its own: fields of one name that break at once are one alert."""
    return first + 75 + 5 * list(TROUBLES).index(trouble)


def befallen(trouble: str, first: int) -> Befall | None:
    if trouble == QUIET:
        return None
    change, begin = TROUBLES[trouble][0], broken_at(trouble, first)

    def befall(columns: dict[str, Any], minute: int, rng: Any) -> None:
        if minute >= begin:
            change(columns, minute - begin, rng)

    return befall


class Worlds:
    """All routes side by side, in the order of their times: a stream for each."""

    def __init__(self, troubles: list[str], first: int) -> None:
        self._traffic = {
            route_of(trouble): Traffic(rows=ROWS, seed=20 + seed, befall=befallen(trouble, first))
            for seed, trouble in enumerate(troubles)
        }
        self._seq = dict.fromkeys(self._traffic, 0)
        self._minutes = range(first, first + MINUTES)

    def batches(self) -> Iterator[Batch]:
        for start in self._minutes[::10]:
            for route, traffic in self._traffic.items():
                minutes = range(start, min(start + 10, self._minutes.stop))
                more = {"route": route, "stream": route}
                lines = [line for at in minutes for line in traffic.minute(at, **more)]
                yield batch_of(lines, self._seq[route] + 1, route)
                self._seq[route] += len(lines)


@contextmanager
def watching(config: Path) -> Iterator[subprocess.Popen[str]]:
    """A member of the group, ended in good order."""
    command = [sys.executable, "-m", "gateway", "drift", "watch", "-c", str(config)]
    log = config.with_name(f"watch-{time.monotonic_ns()}.log")
    with log.open("w") as said:
        member = subprocess.Popen(command, cwd=ROOT, stderr=said, text=True, env=os.environ)
        try:
            yield member
            member.send_signal(signal.SIGTERM)
            assert member.wait(20) == 0, log.read_text()
        finally:
            member.kill()
            member.wait()
    assert "Traceback" not in log.read_text(), log.read_text()


def opened(calls: list[Any]) -> list[dict[str, Any]]:
    """Alerts that the webhook was told of as new."""
    said = [json.loads(call.body) for call in calls]
    return [each["alert"] for each in said if each["event"] == "opened"]


@pytest.mark.timeout(180)
def test_each_trouble_is_told_once_and_quiet_traffic_never(kafka: Address, tmp_path: Path) -> None:
    first = int(time.time()) // 60 - MINUTES
    troubles = [*TROUBLES, QUIET]
    topic = new_topic("watch")
    (tmp_path / "train.json").write_bytes(trained().encode())
    broker = settings(kafka.plain, topic)

    async def send() -> None:
        async with sink_for(broker, tmp_path) as sink:
            for batch in Worlds(troubles, first).batches():
                await deliver(sink, batch)

    asyncio.run(send())
    with WebhookServer(GOOD) as receiver:
        routes = {route_of(trouble): {"backends": ["model"]} for trouble in troubles}
        gateway_settings: dict[str, Any] = {
            "backends": {"model": {"protocol": "kserve", "url": "http://127.0.0.1:1"}},
            "routes": routes,
            "log": {
                "kafka": {
                    "bootstrap": [kafka.plain],
                    "topic": topic,
                    "feedback_topic": f"{topic}-feedback",
                    "create": {"partitions": 3},
                }
            },
            "drift": {
                "references": {
                    "train": {"kind": "training", "file": str(tmp_path / "train.json")},
                },
                "rules": {"inputs": {"reference": "train", "every": "5m", "window": "1h"}},
                "alerts": {"webhooks": [{"url": receiver.webhook().url.reveal()}], "group": "1s"},
                "consumer": {"source": "kafka", "group": topic, "state_topic": f"{topic}-state"},
            },
        }
        with GatewayProcess(gateway_settings, tmp_path) as gateway:
            url = f"http://{gateway.admin_address[0]}:{gateway.admin_address[1]}"
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("GATEWAY_ADMIN_URL", url)

                def said() -> str:
                    logs = sorted(tmp_path.glob("watch-*.log"))
                    return "\n".join([gateway.log(), *(log.read_text() for log in logs)])

                with watching(gateway.config), watching(gateway.config):
                    until(lambda: len(opened(receiver.calls)) >= len(TROUBLES), READ_S, said)
                    time.sleep(2.0)  # what should not come has time to
            status, body = gateway.admin("/api/v1/alerts?all=true")
    assert status == 200
    alerts = json.loads(body)
    told = opened(receiver.calls)
    assert sorted(each["route"] for each in told) == sorted(map(route_of, TROUBLES))
    assert sorted(each["id"] for each in told) == sorted(each["id"] for each in alerts)
    for trouble, (_change, field, kind, delay) in TROUBLES.items():
        (alert,) = (each for each in told if each["route"] == route_of(trouble))
        lead = alert["lead"]
        assert (lead["field"], lead["kind"]) == (field, kind), trouble
        minute = datetime.fromisoformat(alert["opened_at"]).timestamp() // 60
        assert minute - broken_at(trouble, first) <= delay + EVERY, trouble
        assert field in lead["sentence"]
    # Only those of the leader's latest lines are at hand, and here hours go by in a moment.
    assert {len(alert["lead"]["requests"]) for alert in told} & {1, 2, 3}
