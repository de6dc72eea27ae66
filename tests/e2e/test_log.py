"""`kill -9` of worker, shipper, controller and broker at random moments, under constant load.

The real gateway, a real broker, real clients: in the end everyone who should know of a
record is asked, and they must agree (`tests.support.accounts`).
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress

import pytest

from tests.support.accounts import assert_everybody_agrees
from tests.support.asking import Asked, Asking
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess
from tests.support.kafka import killable_kafka, new_topic
from tests.support.kafka_broker import Broker
from tests.support.logged import await_delivery, figures_of, kafka_log, logged, told
from tests.support.waiting import until

__all__ = ["killable_kafka"]

IS_SLOW = bool(os.environ.get("RUN_SLOW"))
CAMPAIGNS = 5 if IS_SLOW else 1
ROUNDS = 40 if IS_SLOW else 4
RATE_PER_S = 120.0
VICTIMS = ("worker", "shipper", "controller", "broker")
COMEBACK_S = 60.0

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(590 if IS_SLOW else 150)]


class Campaign:
    """A gateway under load, and what is done to it."""

    def __init__(self, gateway: GatewayProcess, broker: Broker, chance: random.Random) -> None:
        self.gateway, self.broker, self.chance = gateway, broker, chance
        self.state = gateway.folder / "state"
        self.accepted: set[str] = set()  # ids of feedback that the admin port took
        self.killed: list[str] = []

    def round(self, victim: str, asked: list[Asked]) -> None:
        """Let them work for a moment, then kill one; most times wait until it is back."""
        time.sleep(self.chance.uniform(0.0, 0.4))
        self._say_something(asked)
        if victim == "broker":
            self.broker.kill()
            time.sleep(self.chance.uniform(0.0, 1.0))
            self.broker.start()
        else:
            pid = self.pid_of(victim)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self.between(victim)
            if self.chance.random() < 0.7:
                until(lambda: self._is_back(victim, pid), COMEBACK_S, self.gateway.log)
        self.killed.append(victim)

    def between(self, victim: str) -> None:
        """What else happens while it is not there."""

    def pid_of(self, post: str) -> int:
        """One of the processes at that post, however far it has come."""

        def found() -> list[int]:
            children = self.gateway.children().items()
            return [pid for pid, line in children if f" gateway {post} " in line]

        until(found, COMEBACK_S, self.gateway.log)
        return self.chance.choice(found() or [self.pid_of(post)])

    def _is_back(self, post: str, gone: int) -> bool:
        if post == "controller":
            return bool(told(self.gateway, "/api/v1/log"))
        if post == "shipper":
            figures = figures_of(self.gateway)
            return figures is not None and figures["pid"] != gone
        return len(self.gateway.workers()) == 2 and self.gateway.readiness() == 200

    def _say_something(self, asked: list[Asked]) -> None:
        """Feedback by the admin port, so that the controller has a stream of its own."""
        about = next((one.id for one in reversed(asked) if one.is_whole), "nothing")
        said = json.dumps({"request_id": about, "signal": "accept", "value": True}).encode()
        self.accepted |= set(told(self.gateway, "/api/v1/feedback", "POST", said).get("ids", ()))


def victims(chance: random.Random) -> list[str]:
    """Each at least once in each four rounds, in an order of chance."""
    chosen: list[str] = []
    while len(chosen) < ROUNDS:
        chosen += chance.sample(VICTIMS, k=len(VICTIMS))
    return chosen[:ROUNDS]


@pytest.mark.parametrize("number", range(CAMPAIGNS))
def test_whoever_is_killed_every_answer_is_recorded_once(
    make_backend: MakeBackend,
    make_process: MakeProcess,
    killable_kafka: Broker,
    number: int,
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    topic = new_topic()
    gateway = make_process(logged(make_backend, kafka_log(killable_kafka.bootstrap, topic)))
    campaign = Campaign(gateway, killable_kafka, random.Random(seed))
    log.info("campaign %d: seed %d", number, seed)
    with Asking(gateway.address, RATE_PER_S) as asking:
        for victim in victims(campaign.chance):
            campaign.round(victim, asking.asked)
        asking.await_answers(50)
    await_delivery(gateway)
    gateway.stop()
    arguments = (campaign.state, killable_kafka.bootstrap, topic, asking.asked, campaign.accepted)
    count = assert_everybody_agrees(*arguments)
    whole = sum(one.is_whole for one in asking.asked)
    kills = Counter(campaign.killed)
    log.info("%s, %d of %d answers whole, %d lines", kills, whole, len(asking.asked), count)
