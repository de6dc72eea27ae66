"""Weeks with days, nights and weekends through a real broker: nobody is called for a season.

Two routes' records are on a topic, in event time: a week, and then the one that is looked at, by
two members of `gateway drift watch`, against last week, the champion and the training, who tell a
gateway. One route stays as it was; on the other a field goes null on the Saturday (in the short
form, on the only day), which is told once.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from gateway.brokers import BrokerError
from gateway.config.recording import Kafka
from gateway.config.units import Duration
from gateway.config.watching import DriftConsumer
from gateway.profiles.recorded import from_lines
from gateway.shipper.sink import Batch
from gateway.watch.group.committed import Committed, committed
from gateway.watch.group.watcher import LOOKS
from tests.e2e.test_watch import opened, watching
from tests.kafka.lines import batch_of, deliver, settings, sink_for
from tests.notices.webhooks import GOOD, WebhookServer
from tests.support.gateway import GatewayProcess
from tests.support.kafka import kafka, new_topic
from tests.support.kafka_broker import Address
from tests.support.waiting import until
from tests.watch.seasons import A_MONDAY, DAY, HOUR, WEEK, Columns, Seasons

__all__ = ["kafka"]

IS_LONG = bool(os.environ.get("RUN_SLOW"))
DAYS = 14 if IS_LONG else 8
NIGHT, BY_DAY = (120, 500) if IS_LONG else (80, 120)  # requests an hour
AT_ONCE = 8 * DAY  # nine days are kept: looks must be made meanwhile
BROKEN = (12 if IS_LONG else 7) * DAY + 9 * HOUR  # minute, of the other route
READ_S = 400.0 if IS_LONG else 110.0
MINUTE_NS = 60 * 10**9
RULES = {
    "hours": {"reference": "week", "fields": ["*"], "every": "1h", "window": "1h"},
    "rollout": {"reference": "champion", "every": "1h", "window": "1h"},
    "traffic": {"reference": "week", "fields": ["traffic.*"], "every": "1h", "window": "1h"},
    "channels": {"reference": "train", "fields": ["channel"], "every": "24h", "window": "24h"},
}


def begin() -> int:
    """A Monday so long ago that all of it is past, by more than a week."""
    last = int(time.time()) // 60 - WEEK - DAYS * DAY
    return last - (last - A_MONDAY) % WEEK


def null_amounts(first: int) -> Any:
    def befall(columns: Columns, minute: int, rng: np.random.Generator) -> None:
        if minute >= first + BROKEN:
            amounts = columns["amount"].tolist()
            columns["amount"] = [
                None if gone else each
                for each, gone in zip(amounts, rng.random(len(amounts)) < 0.3, strict=True)
            ]

    return befall


class World:
    """Both routes, in the order of their times."""

    def __init__(self, first: int) -> None:
        usual: dict[str, Any] = {"night": NIGHT, "day": BY_DAY}
        self._traffic = [
            Seasons("calm", seed=1, **usual),
            Seasons("calm", seed=2, arm="challenger", **usual),
            Seasons("troubled", seed=3, befall=null_amounts(first), **usual),
        ]
        self._seq = dict.fromkeys((each.stream for each in self._traffic), 1)
        self.lines = 0

    def batches(self, hours: range) -> Iterator[Batch]:
        for start in range(0, len(hours), 6):
            part = hours[start : start + 6]
            for traffic in self._traffic:
                lines = [line for hour in part for line in traffic.hour(hour)]
                yield batch_of(lines, self._seq[traffic.stream], traffic.stream)
                self._seq[traffic.stream] += len(lines)
                self.lines += len(lines)


class Group:
    """The topic, and what the group has made of it."""

    def __init__(self, broker: Kafka, folder: Path, first: int) -> None:
        self.broker, self._folder = broker, folder
        self.consumer = DriftConsumer(
            source="kafka", group=broker.topic, state_topic=f"{broker.topic}-state"
        )
        self.world, self._first = World(first), first

    def send(self, since: int, until_minute: int) -> None:
        """These minutes of the world."""

        async def send() -> None:
            async with sink_for(self.broker, self._folder) as sink:
                hours = range(self._first + since, self._first + until_minute, HOUR)
                for batch in self.world.batches(hours):
                    await deliver(sink, batch)

        asyncio.run(send())

    def committed(self) -> Committed:
        return asyncio.run(committed(self.broker, self.consumer))

    def looked_to(self) -> int:
        """The minute up to which every rule that looks each hour has looked."""
        time.sleep(0.5)  # all that is kept is read
        try:
            document = self.committed().documents.get(LOOKS, b"{}")
        except BrokerError:  # the members make the state topic
            return 0
        last = msgspec.json.decode(document).get("last", [])
        hourly = [end for rule, _route, end in last if rule in {"hours", "rollout"}]
        return min(hourly) if len(hourly) == 4 else 0  # two rules on two routes


def trained(first: int, folder: Path) -> Path:
    """The week before all of it, as training data know it: of no time of day."""
    traffic = Seasons("calm", seed=9, night=NIGHT // 4, day=BY_DAY // 4)
    lines = [line for at in range(0, WEEK, HOUR) for line in traffic.hour(first - WEEK + at)]
    path = folder / "train.json"
    path.write_bytes(from_lines(lines, "calm", signals=()).encode())
    return path


def configured(group: Group, reference: Path, url: str) -> dict[str, Any]:
    topic = group.broker.topic
    return {
        "backends": {"model": {"protocol": "kserve", "url": "http://127.0.0.1:1"}},
        "routes": {"calm": {"backends": ["model"]}, "troubled": {"backends": ["model"]}},
        "log": {
            "kafka": {
                "bootstrap": list(group.broker.bootstrap),
                "topic": topic,
                "feedback_topic": f"{topic}-feedback",
                "create": {"partitions": 4},
            }
        },
        "drift": {
            "references": {
                "week": {"kind": "last_week"},
                "champion": {"kind": "champion"},
                "train": {"kind": "training", "file": str(reference)},
            },
            "rules": RULES,
            "alerts": {"webhooks": [{"url": url}], "group": "1s"},
            "consumer": {"source": "kafka", "group": topic, "state_topic": f"{topic}-state"},
        },
    }


@pytest.mark.timeout(1800 if IS_LONG else 240)
def test_seasons_are_no_trouble_and_a_trouble_among_them_is_told_once(
    kafka: Address, tmp_path: Path
) -> None:
    first = begin()
    broker = settings(kafka.plain, new_topic("seasons"), timeout=Duration(30 * 10**9))
    group = Group(broker, tmp_path, first)
    group.send(0, AT_ONCE)
    with WebhookServer(GOOD) as receiver:
        reference = trained(first, tmp_path)
        asked = configured(group, reference, receiver.webhook().url.reveal())
        with GatewayProcess(asked, tmp_path) as gateway, pytest.MonkeyPatch.context() as patch:
            host, port = gateway.admin_address
            patch.setenv("GATEWAY_ADMIN_URL", f"http://{host}:{port}")

            def said() -> str:
                logs = sorted(tmp_path.glob("watch-*.log"))
                return "\n".join([gateway.log(), *(log.read_text() for log in logs)])

            with watching(gateway.config), watching(gateway.config):
                for sent in range(AT_ONCE, DAYS * DAY + 1, DAY):
                    # Why an hour less: the last one is over when a later row says so.
                    end = first + sent - HOUR
                    until(lambda end=end: group.looked_to() >= end, READ_S, said)  # type: ignore[misc]
                    if sent < DAYS * DAY:
                        group.send(sent, sent + DAY)
            until(lambda: receiver.calls, READ_S, said)
            found = group.committed()
            status, body = gateway.admin("/api/v1/alerts?all=true")
        told = receiver.calls
    assert status == 200
    assert found.told["counted"] + found.told["late"] == group.world.lines
    (alert,) = opened(told)
    assert len(told) == 1
    assert [each["id"] for each in json.loads(body)] == [alert["id"]]
    lead = alert["lead"]
    assert (alert["route"], lead["kind"], lead["field"]) == ("troubled", "data_missing", "amount")
    minute = datetime.fromisoformat(alert["opened_at"]).timestamp() // 60
    assert 0 <= minute - first - BROKEN <= 2 * HOUR
