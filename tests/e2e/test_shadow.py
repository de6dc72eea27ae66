"""Copies of requests on real sockets: what clients see of them is nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from gateway._fast import hash_of
from gateway.plan import PPM
from tests.support import faults
from tests.support.answers import json_answer, plays
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayThread
from tests.support.logged import metric
from tests.support.openai_model import OpenAIModel
from tests.support.script import Received, Reset
from tests.support.settings import Settings, openai_backend, route
from tests.support.shadows import ask, await_copies, records_in, row_of, shadowed, skipped
from tests.support.waiting import until

MODEL = OpenAIModel("new")
LONG = b'{"choices":[{"message":{"content":"' + b"x" * 400_000 + b'"}}]}'


def test_copy_is_answered_compared_and_recorded(make_backend: MakeBackend, tmp_path: Path) -> None:
    old, new = make_backend("old"), make_backend("new")
    with GatewayThread(shadowed(tmp_path, old, new)) as gateway:
        status, body = ask(gateway)
        [copy] = records_in(tmp_path, 1)
        [client] = records_in(tmp_path, 1, "prediction")
    assert (status, json.loads(body)["choices"][0]["message"]["content"][:3]) == (200, "old")
    assert json.loads(new.received[0].body)["model"] == "new"
    assert new.received[0].header("x-request-id") == old.received[0].header("x-request-id")
    assert (copy.backend, copy.outcome, copy.route) == ("shadow:new", "ok", "chat")
    assert copy.request_id == client.request_id
    assert copy.comparison is not None
    assert copy.comparison.of == client.id
    assert copy.comparison.backend == "old"
    assert copy.comparison.similarity is not None
    assert 0.5 < copy.comparison.similarity < 1
    assert copy.usage is not None
    assert copy.usage.output_tokens == 5


def test_copy_of_a_held_answer_begins_when_the_client_has_it(
    make_backend: MakeBackend, tmp_path: Path
) -> None:
    old = make_backend("old", faults.after(0.2, plays(OpenAIModel("old"))))
    new = make_backend("new")
    with GatewayThread(shadowed(tmp_path, old, new)) as gateway:
        ask(gateway)
        await_copies(gateway, "new", 1)
    assert new.received[0].at >= old.received[0].at + 0.2


def test_copy_of_a_stream_begins_with_it_and_waits_for_its_end(
    make_backend: MakeBackend, tmp_path: Path
) -> None:
    old = make_backend("old", plays(OpenAIModel("old", first_s=0.1, gap_s=0.05)))
    new = make_backend("new")
    with GatewayThread(shadowed(tmp_path, old, new)) as gateway:
        ask(gateway, stream=True)
        [copy] = records_in(tmp_path, 1)
    begun, ended = old.received[0].at + 0.1, old.received[0].answered_at
    assert begun <= new.received[0].at < ended
    assert copy.streamed
    assert copy.comparison is not None
    assert copy.comparison.outcome == "ok"
    assert copy.comparison.latency_us < 0
    assert copy.comparison.similarity is not None


CHALLENGERS = {
    "dead": (faults.reset_before_head(), "upstream_closed"),
    "failing": (faults.status(500), "upstream_5xx"),
    "silent": (faults.never(), "total_timeout"),
    "crashing": (faults.end_mid_body(MODEL, Reset()), "truncated"),
    "garbage": (faults.wire(b"SSH-2.0-OpenSSH_9.7\r\n\r\n"), "upstream_protocol"),
    "endless": (faults.endless(b"data: {}\n\n", 0.001), "total_timeout"),
    "huge": (faults.wire(b"HTTP/1.1 200 OK\r\ncontent-length: 400040\r\n\r\n" + LONG), "cancelled"),
    "redirecting": (faults.status(302), "ok"),
}


@pytest.mark.parametrize("kind", CHALLENGERS)
@pytest.mark.parametrize("stream", [False, True], ids=["held", "stream"])
def test_whatever_a_challenger_does_the_client_is_answered(
    kind: str, make_backend: MakeBackend, tmp_path: Path, *, stream: bool
) -> None:
    answer, outcome = CHALLENGERS[kind]
    old, new = make_backend("old"), make_backend("new", answer)
    with GatewayThread(shadowed(tmp_path, old, new, shadow={"timeout": "300ms"})) as gateway:
        for _ in range(3):
            begun = time.monotonic()
            status, body = ask(gateway, stream=stream)
            assert status == 200
            assert b"old" in body
            assert time.monotonic() - begun < 0.25
        copies = records_in(tmp_path, 3)
        assert gateway.board.read_row(gateway.plan.routes[0].row)["outcomes"][0] == 3
    assert {copy.outcome for copy in copies} == {outcome}
    assert all(copy.comparison and copy.comparison.outcome == "ok" for copy in copies)


def test_backend_that_is_not_there_is_left_alone_by_its_breaker(
    make_backend: MakeBackend, tmp_path: Path
) -> None:
    old, new = make_backend("old"), make_backend("new")
    with GatewayThread(shadowed(tmp_path, old, new)) as gateway:
        new.kill()
        for _ in range(30):
            assert ask(gateway)[0] == 200
        tried = row_of(gateway, "new")["requests"]
        assert 1 <= tried < 15
        assert skipped(gateway, "new") == {"breaker": 30 - tried}
        new.revive()


def test_breaker_of_copies_is_not_the_clients(make_backend: MakeBackend, tmp_path: Path) -> None:
    """A backend that answers clients and gets copies of another route's requests."""
    both = make_backend("both", faults.by_path({}, plays(OpenAIModel("both"))))
    settings = shadowed(tmp_path, make_backend("old"), both)
    settings["routes"]["own"] = route("both")
    with GatewayThread(settings) as gateway:
        both.answer = faults.status(500)
        for _ in range(30):
            ask(gateway)
        assert skipped(gateway, "both")["breaker"]
        both.answer = plays(OpenAIModel("both"))
        assert ask(gateway, model="own")[0] == 200


def test_no_more_copies_at_once_than_allowed(make_backend: MakeBackend, tmp_path: Path) -> None:
    old, new = make_backend("old"), make_backend("new", faults.never())
    shadow = {"max_concurrency": 2, "timeout": "1s"}
    with GatewayThread(shadowed(tmp_path, old, new, shadow=shadow)) as gateway:
        for _ in range(5):
            assert ask(gateway)[0] == 200
        assert row_of(gateway, "new")["requests"] == 2
        assert skipped(gateway, "new") == {"concurrency": 3}
        await_copies(gateway, "new", 2)
        assert ask(gateway)[0] == 200
        assert row_of(gateway, "new")["requests"] == 3


def test_money_of_the_day_stops_copies(make_backend: MakeBackend, tmp_path: Path) -> None:
    old, new = make_backend("old"), make_backend("new")
    settings = shadowed(
        tmp_path,
        old,
        new,
        each={"price": {"request": 0.01}},
        shadow={"max_usd_per_day": 0.025},
    )
    with GatewayThread(settings) as gateway:
        for number in range(5):
            ask(gateway)
            await_copies(gateway, "new", min(number + 1, 3))
        assert skipped(gateway, "new") == {"money": 2}
        settings["routes"]["chat"]["shadow"][0]["sample"] = "99.9999%"
        gateway.apply(settings)  # what was spent stays spent
        for _ in range(2):
            ask(gateway)
        assert skipped(gateway, "new") == {"money": 4}
        [route_plan] = gateway.plan.routes
        own = gateway.board.read_row(route_plan.row)
    assert len(new.received) == 3
    assert own["cost_nano_usd"] == 0


@pytest.mark.parametrize(
    "members, reason",
    [
        ({"messages": [{"role": "user", "content": "x" * 5000}]}, "too_long"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "not_capable"),
    ],
)
def test_request_that_cannot_be_copied_is_counted(
    members: Settings, reason: str, make_backend: MakeBackend, tmp_path: Path
) -> None:
    old, new = make_backend("old"), make_backend("new")
    settings = shadowed(
        tmp_path, old, new, each={"capabilities": ["chat"]}, shadow={"max_body": "4KiB"}
    )
    with GatewayThread(settings) as gateway:
        assert ask(gateway, **members)[0] == 200
        assert skipped(gateway, "new") == {reason: 1}
    assert not new.received


def test_sampled_is_what_was_begun_or_skipped_and_the_same_id_is_drawn_alike(
    make_backend: MakeBackend, tmp_path: Path
) -> None:
    old, new = make_backend("old"), make_backend("new")
    ids = [f"request-{number}" for number in range(120)]
    drawn = {one for one in ids if (hash_of(one.encode()) * PPM) >> 64 < 0.3 * PPM}
    settings = shadowed(tmp_path, old, new, shadow={"sample": "30%", "max_concurrency": 1})
    with GatewayThread(settings) as gateway:
        for one in ids:
            ask(gateway, ("x-request-id", one))
        row = row_of(gateway, "new")
        assert row["requests"] + sum(row["skips"]) == len(drawn)
        copies = records_in(tmp_path, row["requests"])
        clients = records_in(tmp_path, 120, "prediction")
    assert len(copies) == row["requests"] == len(new.received)
    assert {copy.request_id for copy in copies} <= drawn
    by_id = {client.id: client.request_id for client in clients}
    assert all(c.comparison and by_id[c.comparison.of] == c.request_id for c in copies)


def test_client_that_leaves_takes_no_copy_with_it(
    make_backend: MakeBackend, tmp_path: Path
) -> None:
    old = make_backend("old", plays(OpenAIModel("old", chunks=50, gap_s=0.05)))
    new = make_backend("new", faults.after(0.1, plays(OpenAIModel("new"))))
    with GatewayThread(shadowed(tmp_path, old, new)) as gateway:
        with gateway.connect() as client:
            body = json.dumps({"model": "chat", "messages": [], "stream": True}).encode()
            kinds = b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
            client.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n" + kinds + body)
            until(lambda: new.received)
        [copy] = records_in(tmp_path, 1)
    assert copy.outcome == "ok"
    assert copy.comparison is not None
    assert copy.comparison.outcome == "client_closed"


def test_failed_answers_are_compared_as_well(make_backend: MakeBackend, tmp_path: Path) -> None:
    """Where the client got none, the copy still says whether the challenger had one."""
    old, new = make_backend("old", faults.reset_before_head()), make_backend("new")
    with GatewayThread(shadowed(tmp_path, old, new, retry={"attempts": 1})) as gateway:
        assert ask(gateway)[0] == 502
        [copy] = records_in(tmp_path, 1)
    assert copy.outcome == "ok"
    assert copy.comparison is not None
    assert (copy.comparison.status, copy.comparison.agrees) == (502, None)


def test_drain_does_not_wait_for_copies(make_backend: MakeBackend, tmp_path: Path) -> None:
    old, new = make_backend("old"), make_backend("new", faults.never())
    settings = {**shadowed(tmp_path, old, new), "drain": {"hard_stop": "20s"}}
    with GatewayThread(settings) as gateway:
        ask(gateway)
        until(lambda: new.received)
        begun = time.monotonic()
        gateway.loop.run(gateway.plane.drain())
        assert time.monotonic() - begun < 3
        assert row_of(gateway, "new")["in_flight"] == 0
        [copy] = records_in(tmp_path, 1)
    assert copy.outcome == "cancelled"


def test_judge_says_which_answer_is_better(make_backend: MakeBackend, tmp_path: Path) -> None:
    def judge(received: Received) -> Any:
        text = json.loads(received.body)["messages"][-1]["content"]
        first = text.index("new w1") < text.index("old w1")
        choice = {"index": 0, "message": {"role": "assistant", "content": "A" if first else "B"}}
        return json_answer({"choices": [choice]})

    old, new = make_backend("old"), make_backend("new")
    wise = make_backend("wise", plays(judge))
    settings = shadowed(
        tmp_path,
        old,
        new,
        each={"price": {"request": 0.0001}},
        shadow={"compare": {"judge": "judge"}, "max_usd_per_day": 0.00095},
        backends={"wise": openai_backend(wise, price={"request": 0.0001})},
        routes={"judge": route("wise")},
    )
    with GatewayThread(settings) as gateway:
        for _ in range(8):
            ask(gateway)
            gateway.settle()
            time.sleep(0.05)
        copies = records_in(tmp_path, 5)
        [mirror] = gateway.plane.table.routes[b"chat"].mirrors or ()
        assert mirror.spent(int(time.time()) // 86400) == 1_000_000
        judged = gateway.plan.routes[1]
        assert gateway.board.read_row(judged.row)["requests"] == 5
        assert skipped(gateway, "new") == {"money": 3}
    assert [copy.comparison and copy.comparison.judge for copy in copies] == ["shadow"] * 5
    assert len(wise.received) == 5


def test_reload_finishes_copies_that_are_under_way(
    make_backend: MakeBackend, tmp_path: Path
) -> None:
    old, new = make_backend("old"), make_backend("new", faults.after(0.3, plays(MODEL)))
    settings = shadowed(tmp_path, old, new)
    with GatewayThread(settings) as gateway:
        ask(gateway)
        until(lambda: new.received)
        del settings["routes"]["chat"]["shadow"]
        gateway.apply(settings)
        ask(gateway)
        [copy] = records_in(tmp_path, 1)
    assert copy.outcome == "ok"
    assert len(new.received) == 1


@pytest.mark.e2e
def test_copies_are_in_the_metrics(make_backend: MakeBackend, make_process: MakeProcess) -> None:
    old, new = make_backend("old"), make_backend("new", faults.after(0.2, plays(MODEL)))
    settings = shadowed(Path("unused"), old, new, shadow={"max_concurrency": 1})
    gateway = make_process(settings)
    with gateway.connect() as client:
        for _ in range(4):
            body = {"model": "chat", "messages": []}
            assert client.post_json("/v1/chat/completions", body).status == 200
    labels = '{route="chat",backend="shadow:new"'
    until(lambda: metric(gateway, "gateway_attempts_total", labels + ',outcome="ok"}') == 1, 5.0)
    assert metric(gateway, "gateway_shadow_skipped_total", labels + ',reason="concurrency"}') == 3
    assert metric(gateway, "gateway_shadow_uncompared_total", labels + "}") == 0
    assert metric(gateway, "gateway_backend_up", '{backend="shadow:new"}') == 1
