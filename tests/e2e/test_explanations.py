"""Requests of all sorts through a real data plane: each is recorded, explained, decided again."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.explanation.explanation import RecordExplanation, explain
from gateway.explanation.page import page
from gateway.explanation.plans import FoundPlan
from gateway.log.lines import decode
from gateway.log.names import DIRECTORY
from gateway.log.reader import Tail
from gateway.messages import Record
from gateway.plan import POLICIES, Plan
from tests.support import faults
from tests.support.answers import plays
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess, GatewayThread
from tests.support.openai_model import OpenAIModel
from tests.support.settings import Settings, configuration, openai_backend, route
from tests.support.waiting import until

OVERRIDES = ["policy", "backend", "capabilities"]


@pytest.fixture
def backends(make_backend: MakeBackend) -> list[Backend]:
    """Two good ones, one slow, one that fails every third request, one that hardly can anything."""
    failing = faults.alternating(
        plays(OpenAIModel("shaky")), plays(OpenAIModel("shaky")), faults.status(503)
    )
    return [
        make_backend("mini"),
        make_backend("large"),
        make_backend("slow", faults.after(0.005, plays(OpenAIModel("slow")))),
        make_backend("shaky", failing),
        make_backend("plain"),
    ]


def settings_of(backends: list[Backend], state: Path, policy: str, **more: Any) -> Settings:
    each: dict[str, Settings] = {
        "mini": {"price": {"input": 0.4, "output": 1.6}, "context_window": 4000},
        "large": {"price": {"input": 2, "output": 8}, "quality": "90%"},
        "slow": {"price": {"input": 0.1, "output": 0.2}, "slow_start": "30s"},
        "shaky": {"price": {"request": 0.0001}, "max_concurrency": 8},
        "plain": {"capabilities": ["chat"]},
    }
    table = {b.name: openai_backend(b, **each[b.name]) for b in backends}
    weighted = [{"backend": name, "weight": n} for n, name in enumerate(each, 2)]
    return configuration(
        table,
        {
            "chat": route(
                *([] if policy == "weighted" else table),
                policy=policy,
                overrides=OVERRIDES,
                slo={"first_byte_p95": "4ms"},
                retry={"attempts": 3, "budget": "100%"},
                fallback=[{"route": "spare"}],
                **({"backends": weighted} if policy == "weighted" else {}),
                **more,
            ),
            "spare": route("large"),
        },
        state=str(state),
    )


def ask(gateway: GatewayThread, dice: random.Random) -> None:
    body: dict[str, Any] = {
        "model": "chat",
        "messages": [{"role": "user", "content": "why? " * dice.choice([1, 20, 4000])}],
        "stream": dice.random() < 0.3,
        "user": f"u-{dice.randrange(9)}",
    }
    if dice.random() < 0.3:
        body["max_tokens"] = dice.choice([10, 300, 5000])
    if dice.random() < 0.2:
        body["tools"] = [{"type": "function", "function": {"name": "f"}}]
    fields = []
    if dice.random() < 0.1:
        fields.append(("x-gateway-backend", dice.choice(["mini", "plain", "shaky"])))
    if dice.random() < 0.1:
        fields.append(("x-gateway-policy", dice.choice(POLICIES)))
    if dice.random() < 0.05:
        fields.append(("x-gateway-capabilities", "audio,vision"))
    with gateway.connect(timeout_s=8) as client:
        client.post_json("/v1/chat/completions", body, fields)


def records_in(state: Path, count: int) -> list[Record]:
    """All that was recorded, as soon as it is so much."""
    tail, found = Tail(state / DIRECTORY), list[Record]()

    def look() -> bool:
        for _, data in tail.poll(1 << 24):
            found.extend(
                each for line in data.splitlines() if isinstance(each := decode(line), Record)
            )
        return len(found) >= count

    try:
        until(look, 5.0)
    finally:
        tail.close()
    return found


def explained(record: Record, plan: Plan) -> RecordExplanation:
    found = explain(record, FoundPlan(hash=plan.hash, plan=plan))
    assert page(found)
    return found


@pytest.mark.parametrize(
    "policy,more",
    [
        *((policy, {}) for policy in POLICIES),
        ("weighted", {"sticky": "user"}),
        ("balanced", {"sticky": "user"}),
        ("cheapest", {"exploration": "20%", "panic": "50%"}),
        ("fastest", {"exploration": "20%", "hedge": {"after": "2ms", "budget": "100%"}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value) or "plain",
)
def test_every_choice_is_agreed_to(
    policy: str, more: Settings, backends: list[Backend], tmp_path: Path
) -> None:
    count, dice = 200, random.Random(policy + str(more))
    with GatewayThread(settings_of(backends, tmp_path / "state", policy, **more)) as gateway:
        for _ in range(count):
            ask(gateway, dice)
        plan = gateway.plan
        records = records_in(tmp_path / "state", count)
    assert len(records) == count
    for record in records:
        for decision in explained(record, plan).decisions:
            assert decision.verdict.result == "agrees", (decision.verdict, record)


def test_a_running_gateway_explains_by_command_and_by_its_admin_port(
    backends: list[Backend],
    make_process: MakeProcess,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = settings_of(backends, Path("unused"), "cheapest")
    gateway = make_process(settings | {"name": "gw-e2e"})
    body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
    with gateway.connect() as client:
        answer = client.post_json("/v1/chat/completions", body, [("x-request-id", "mine-1")])
        signal = {"request_id": "mine-1", "signal": "thumbs", "value": "up", "source": "app"}
        assert client.post_json("/v1/feedback", signal).status == 202
    assert answer.status == 200
    until(lambda: can_administer(gateway), 10.0, gateway.log)
    status, content = gateway.admin("/api/v1/records/mine-1/explanation")
    found = json.loads(content)
    assert (status, found["gateway"], found["verdict"]) == (200, "gw-e2e", "agrees")
    with pytest.raises(SystemExit) as caught:
        main(["explain", "mine-1", "-c", str(gateway.config)])
    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert f"Answered by {answer.header('x-gateway-backend')}" in text
    assert "put there by start" in text
    assert ": thumbs true, says app" in text
    assert "Decided again from the record and its plan: the same." in text
    status, content = gateway.admin("/api/v1/records/nobody")
    assert status == 404


def can_administer(gateway: GatewayProcess) -> bool:
    """Whether the controller is there; workers serve before."""
    try:
        return gateway.admin("/healthz")[0] == 200
    except OSError:
        return False
