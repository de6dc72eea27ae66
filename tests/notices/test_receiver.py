"""One webhook, on a real socket that may do anything."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.config.rollouts import Webhook
from gateway.config.units import Secret
from gateway.notices.receiver import Receiver, receiver_of
from gateway.notices.signature import is_genuine
from tests.notices.webhooks import (
    GOOD,
    Manner,
    WebhookServer,
    answer,
    drip,
    fall_silent,
    hang_up,
    make_notice,
    talk_nonsense,
)

SECRET = Secret("s3cr3t-of-the-webhook")


@contextlib.asynccontextmanager
async def running(webhook: Webhook, **settings: object) -> AsyncIterator[Receiver]:
    fast = {"timeout_s": 0.2, "attempts": 3, "first_pause_s": 0.01} | settings
    receiver = Receiver(webhook, **fast)  # type: ignore[arg-type]
    task = asyncio.create_task(receiver.run())
    try:
        yield receiver
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.005)


async def test_notice_arrives_signed_and_named() -> None:
    with WebhookServer() as server:
        async with running(server.webhook("/hook?team=a", secret=SECRET)) as receiver:
            receiver.tell(make_notice())
            await until(lambda: receiver.figures().told == 1)
    (call,) = server.calls
    assert call.target == "/hook?team=a"
    assert call.headers["content-type"] == "application/json"
    assert call.headers["x-gateway-event"] == "rolled_back"
    assert call.headers["x-gateway-delivery"] == json.loads(call.body)["id"]
    header = call.headers["x-gateway-signature"]
    assert is_genuine(header, SECRET.reveal(), call.body, time.time())


async def test_webhook_without_secret_gets_no_signature() -> None:
    with WebhookServer() as server:
        async with running(server.webhook()) as receiver:
            receiver.tell(make_notice())
            await until(lambda: receiver.figures().told == 1)
    assert "x-gateway-signature" not in server.calls[0].headers


@pytest.mark.parametrize(
    "bad",
    [answer(500), answer(429), answer(503, "retry-after: 0"), hang_up, talk_nonsense, fall_silent],
    ids=["500", "429", "503", "hangs up", "nonsense", "silent"],
)
async def test_what_passes_is_tried_again_under_the_same_name(bad: Manner) -> None:
    with WebhookServer(bad, GOOD) as server:
        async with running(server.webhook()) as receiver:
            receiver.tell(make_notice())
            await until(lambda: receiver.figures().told == 1)
            assert receiver.figures().error == ""
    assert len(server.calls) == 2
    assert len({call.headers["x-gateway-delivery"] for call in server.calls}) == 1


@pytest.mark.parametrize(
    "bad,calls",
    [
        (answer(400), 1),
        (answer(404), 1),
        (answer(302, "location: http://127.0.0.1:1/"), 1),
        (answer(500), 3),
        (drip, 3),
        (answer(200, body=b"x" * 100_000), 3),
    ],
    ids=["400", "404", "302", "500", "drips", "talks too much"],
)
async def test_what_does_not_pass_is_given_up(bad: Manner, calls: int) -> None:
    with WebhookServer(bad) as server:
        async with running(server.webhook()) as receiver:
            receiver.tell(make_notice())
            await until(lambda: receiver.figures().given_up == 1)
            assert receiver.is_idle
            assert receiver.figures().error.startswith(f"the webhook at 127.0.0.1:{server.port} ")
    assert len(server.calls) == calls


async def test_receiver_that_asks_for_time_gets_it() -> None:
    with WebhookServer(answer(503, "retry-after: 1"), GOOD) as server:
        async with running(server.webhook()) as receiver:
            began_s = time.monotonic()
            receiver.tell(make_notice())
            await until(lambda: receiver.figures().told == 1)
    assert time.monotonic() - began_s >= 1.0


async def test_nobody_there_is_a_sentence_without_the_path() -> None:
    with WebhookServer() as server:
        webhook = server.webhook("/T0/very-secret")
    async with running(webhook) as receiver:
        receiver.tell(make_notice())
        await until(lambda: receiver.figures().given_up == 1)
        figures = receiver.figures()
    assert figures.error.endswith("does not answer (Connection refused)")
    assert "very-secret" not in repr(figures)


async def test_order_is_kept_over_failures() -> None:
    with WebhookServer(answer(500), answer(500), GOOD) as server:
        async with running(server.webhook()) as receiver:
            for event in ("started", "advanced", "promoted"):
                receiver.tell(make_notice(event))
            await until(lambda: receiver.figures().told == 3)
    events = [call.headers["x-gateway-event"] for call in server.calls]
    assert events == ["started"] * 3 + ["advanced", "promoted"]


async def test_full_queue_drops_the_oldest_and_counts() -> None:
    with WebhookServer(fall_silent, GOOD) as server:
        async with running(server.webhook(), most_waiting=2, attempts=1) as receiver:
            receiver.tell(make_notice("started"))
            await until(lambda: len(server.calls) == 1)
            for event in ("advanced", "held", "promoted"):
                receiver.tell(make_notice(event))
            assert (receiver.figures().waiting, receiver.figures().dropped) == (3, 1)
            await until(lambda: receiver.figures().told == 2)
    assert [c.headers["x-gateway-event"] for c in server.calls] == ["started", "held", "promoted"]


async def test_only_what_is_wanted_is_told() -> None:
    with WebhookServer() as server:
        webhook = server.webhook(severity="warn", events=("promoted", "rolled_back"))
        async with running(webhook) as receiver:
            for event in ("started", "promoted", "held", "rolled_back"):
                receiver.tell(make_notice(event))
            await until(lambda: receiver.figures().told == 1 and receiver.is_idle)
    assert [call.headers["x-gateway-event"] for call in server.calls] == ["rolled_back"]


async def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with WebhookServer(answer(500)) as server:
        async with running(server.webhook("/T0/very-secret", secret=SECRET)) as receiver:
            receiver.tell(make_notice())
            await until(lambda: receiver.figures().given_up == 1)
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    said = caplog.text + repr(receiver.figures()) + repr(receiver.webhook)
    assert "very-secret" not in said
    assert SECRET.reveal() not in said


async def test_recovery_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with WebhookServer(answer(500), answer(500), GOOD) as server:
        async with running(server.webhook()) as receiver:
            receiver.tell(make_notice())
            receiver.tell(make_notice())
            await until(lambda: receiver.figures().told == 2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_url_that_is_none_is_given_up_without_a_call() -> None:
    receiver = receiver_of(Webhook(url=Secret("mailto:me")), 10**9, 5)
    task = asyncio.create_task(receiver.run())
    receiver.tell(make_notice())
    await until(lambda: receiver.figures().given_up == 1)
    task.cancel()
    assert receiver.place == "(no URL)"


async def test_slack_form_is_sent() -> None:
    with WebhookServer() as server:
        async with running(server.webhook(format="slack")) as receiver:
            receiver.tell(make_notice())
            await until(lambda: receiver.figures().told == 1)
    assert json.loads(server.calls[0].body)["attachments"]
