"""All webhooks together: none holds up another, and none holds up who tells."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.config.rollouts import Notices as Settings
from gateway.config.rollouts import Webhook
from gateway.config.units import Duration, Secret
from gateway.notices.notices import Notices
from gateway.notices.receiver import Receiver
from tests.notices.webhooks import WebhookServer, fall_silent, make_notice


class Place:
    """Notices over settings that tests change."""

    def __init__(self, *webhooks: Webhook) -> None:
        self.settings = settings_of(*webhooks)
        self.notices = Notices(lambda: self.settings, make=quick)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Notices]:
        task = asyncio.create_task(self.notices.run())
        await asyncio.sleep(0)
        try:
            yield self.notices
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def settings_of(*webhooks: Webhook, timeout_ms: int = 300) -> Settings:
    return Settings(webhooks=webhooks, timeout=Duration(timeout_ms * 10**6), attempts=2)


def quick(webhook: Webhook, timeout_ns: int, attempts: int) -> Receiver:
    return Receiver(webhook, timeout_s=timeout_ns / 1e9, attempts=attempts, first_pause_s=0.01)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.005)


async def test_silent_receiver_holds_up_neither_others_nor_who_tells() -> None:
    with WebhookServer(fall_silent) as silent, WebhookServer() as good:
        place = Place(silent.webhook(), good.webhook())
        async with place.running() as notices:
            began_s = time.monotonic()
            for _ in range(50):
                notices.tell(make_notice())
            told_in_s = time.monotonic() - began_s
            await until(lambda: notices.figures()[1].told == 50)
            assert notices.figures()[0].told == 0
    assert told_in_s < 0.1


async def test_webhook_of_a_new_configuration_is_told_and_one_that_is_gone_is_not() -> None:
    with WebhookServer() as first, WebhookServer() as second:
        place = Place(first.webhook())
        async with place.running() as notices:
            notices.tell(make_notice("started"))
            await until(lambda: len(first.calls) == 1)
            place.settings = settings_of(second.webhook())
            notices.tell(make_notice("promoted"))
            await until(lambda: len(second.calls) == 1)
            assert len(notices.figures()) == 1
    assert len(first.calls) == 1


async def test_webhook_that_stays_keeps_its_queue() -> None:
    with WebhookServer(fall_silent) as silent, WebhookServer() as good:
        place = Place(silent.webhook())
        async with place.running() as notices:
            for _ in range(5):
                notices.tell(make_notice())
            place.settings = settings_of(good.webhook(), silent.webhook())
            assert [each.waiting for each in notices.figures()] == [0, 5]
            place.settings = settings_of(silent.webhook(), timeout_ms=200)
            assert [each.waiting for each in notices.figures()] == [0]


async def test_two_equal_webhooks_are_two() -> None:
    with WebhookServer() as server:
        place = Place(server.webhook(), server.webhook())
        async with place.running() as notices:
            notices.tell(make_notice())
            await until(lambda: len(server.calls) == 2)


async def test_what_is_queued_at_the_end_gets_a_last_chance() -> None:
    with WebhookServer() as server:
        place = Place(server.webhook())
        async with place.running() as notices:
            for _ in range(5):
                notices.tell(make_notice())
        assert len(server.calls) == 5


async def test_end_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.notices.notices.LAST_S", 0.1)
    with WebhookServer(fall_silent) as server:
        place = Place(server.webhook())
        place.settings = settings_of(server.webhook(), timeout_ms=60_000)
        began_s = time.monotonic()
        async with place.running() as notices:
            notices.tell(make_notice())
            await until(lambda: len(server.calls) == 1)
        assert time.monotonic() - began_s < 2


async def test_telling_before_the_loop_runs_is_told_then() -> None:
    with WebhookServer() as server:
        place = Place(server.webhook())
        place.notices.tell(make_notice())
        async with place.running():
            await until(lambda: len(server.calls) == 1)


async def test_telling_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Settings:
        raise RuntimeError("no configuration")

    Notices(broken).tell(make_notice())
    assert "could not be queued" in caplog.text


async def test_nobody_to_tell_is_fine() -> None:
    place = Place()
    async with place.running() as notices:
        notices.tell(make_notice())
        assert notices.figures() == ()


def test_settings_hide_what_is_secret() -> None:
    webhook = Webhook(url=Secret("https://hooks.slack.com/services/T0/B0/xyz"))
    assert "xyz" not in repr(settings_of(webhook))
