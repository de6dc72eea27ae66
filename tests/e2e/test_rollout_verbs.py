"""Rollouts as people meet them: the command line, and a webhook, on the real processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.test_rollout import Clients, failing, settings
from tests.notices.webhooks import WebhookServer, answer, fall_silent
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SECRET = "a-secret-of-the-webhook"


@pytest.fixture
def webhook() -> Iterator[WebhookServer]:
    with WebhookServer(answer(500), answer(200)) as server:
        yield server


def say(gateway: GatewayProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    host, port = gateway.admin_address
    command = [sys.executable, "-m", "gateway", "rollout", *arguments]
    return subprocess.run(
        [*command, "--admin", f"http://{host}:{port}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def told(webhook: WebhookServer) -> dict[str, dict[str, Any]]:
    """By event, each delivery once."""
    calls = {call.headers["x-gateway-delivery"]: call for call in webhook.calls}
    return {call.headers["x-gateway-event"]: json.loads(call.body) for call in calls.values()}


def test_bad_challenger_is_told_of_explained_and_verified(
    make_backend: MakeBackend, make_process: MakeProcess, webhook: WebhookServer
) -> None:
    old, new = make_backend("old", failing(0.0)), make_backend("new", failing(0.4))
    made = settings(old, new, steps=[{"setWeight": 50}, {"setWeight": 100}])
    with WebhookServer(fall_silent) as silent:
        urls = [f"http://127.0.0.1:{each.port}/T0/hidden" for each in (webhook, silent)]
        webhooks = [{"url": url, "secret": SECRET} for url in urls]
        gateway = make_process({**made, "notices": {"webhooks": webhooks, "timeout": "1s"}})
        with Clients(gateway):
            status = say(gateway, "status", "next", "--timeout", "40s")
        until(lambda: "rolled_back" in told(webhook), 10)
    assert status.returncode == 1, status.stdout + status.stderr
    assert "✖ rolled back, weight 0%" in status.stdout
    notice = told(webhook)["rolled_back"]
    assert (notice["rollout"], notice["route"], notice["severity"]) == ("next", "echo", "error")
    assert notice["facts"]["gate"] == "errors"
    assert re.fullmatch(r"t=\d+,v1=[0-9a-f]{64}", webhook.calls[0].headers["x-gateway-signature"])
    explained = say(gateway, "explain", "next")
    assert explained.returncode == 0, explained.stdout + explained.stderr
    assert "Judged again: all" in explained.stdout
    verified = say(gateway, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    said = gateway.log() + status.stdout + explained.stdout
    assert "hidden" not in said
    assert SECRET not in said


def test_people_have_their_say(make_backend: MakeBackend, make_process: MakeProcess) -> None:
    old, new = make_backend("old", failing(0.0)), make_backend("new", failing(0.0))
    gateway = make_process(settings(old, new, autostart=False, steps=[{"setWeight": 10}]))
    assert "◷ pending" in say(gateway, "list").stdout
    for verb, phase in (
        (["start"], "◌ running"),
        (["pause"], "॥ paused"),
        (["resume"], "◌ running"),
        (["promote", "--full"], "✔ promoted"),
        (["undo"], "✖ rolled back"),
        (["retry"], "◌ running"),
        (["abort", "--reason", "enough"], "✖ aborted"),
    ):
        done = say(gateway, verb[0], "next", *verb[1:])
        assert done.returncode == 0, done.stderr
        assert f"next: {phase}" in done.stdout
    refused = say(gateway, "pause", "next")
    assert refused.returncode == 1
    assert "it cannot pause" in refused.stderr
    assert "enough" in say(gateway, "history", "next").stdout
