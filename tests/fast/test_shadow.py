"""Copies of requests, one event at a time: begun late, accounted once, felt by nobody."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest

from gateway._fast import Shadow
from gateway.dataplane.shadowing import Shadowing
from gateway.messages import Comparison, Record
from gateway.telemetry import SKIPS
from tests.support.messages import STREAM_HEAD, answer, chat, chunk
from tests.support.stage import Client, Server, Settings, Stage, echoing, serving

ALL = {"backend": "new", "sample": "100%"}
NEW = "shadow:new"
PRICE = {"price": {"request": 0.001}}
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
DONE = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def staged(
    *names: str, shadow: Settings | None = None, new: Settings | None = None, **route: Any
) -> Stage:
    """A route over these backends, all of whose requests are copied to `new`."""
    backend = {"protocol": "openai", "url": "http://new.test/v1", **(new or {})}
    route = {"record": {"payload": "full"}, "shadow": [{**ALL, **(shadow or {})}], **route}
    return compared(
        Stage(serving(*(names or ("old",)), top={"backends": {"new": backend}}, **route))
    )


def compared(stage: Stage) -> Stage:
    stage.worker.compare_with(Shadowing(stage.worker))
    return stage


def answered(stage: Stage, data: bytes | None = None) -> tuple[Client, Server]:
    """A client that has its answer, and the server that gave it."""
    client = stage.client()
    client.ask(data or chat())
    return client, served(stage, "old", {"by": "old"})


def served(stage: Stage, name: str, body: Any = None, status: int = 200, *fields: str) -> Server:
    """The server that is asked, or dialled, has answered."""
    asked = (s for s in stage.servers if s.name == name and s.is_open and s.is_asked)
    server = next(asked, None) or stage.server(name)
    server.answer(body, status, *fields)
    return server


def shadow_row(stage: Stage, name: str = "new") -> dict[str, Any]:
    shadows = stage.plan.routes[0].shadows
    [row] = [shadow.row for shadow in shadows if shadow.name == name]
    return stage.board.read_row(row)


def skips(stage: Stage) -> dict[str, int]:
    counts = zip(SKIPS, shadow_row(stage)["skips"], strict=False)
    return {reason: count for reason, count in counts if count}


def copies(stage: Stage) -> list[Record]:
    """The records of copies, once what is over has been worked off."""
    stage.worker.tick()
    stage.turn()
    return [record for record in stage.log.records() if record.kind == "shadow"]


def copy(stage: Stage) -> tuple[Record, Comparison]:
    [record] = copies(stage)
    assert record.comparison is not None
    return record, record.comparison


def held(stage: Stage) -> int:
    return stage.gauge(NEW)["held_bytes"]


# when


def test_a_copy_has_its_own_predictions() -> None:
    stage = staged(record={"payload": "none", "predictions": "/by"})
    answered(stage)
    served(stage, NEW, {"by": "new"})
    assert [bytes(record.predictions) for record in stage.log.records()] == [b'"old"']  # type: ignore[arg-type]
    record, _comparison = copy(stage)
    assert bytes(record.predictions) == b'"new"'  # type: ignore[arg-type]
    stage.end()


def test_nothing_is_copied_before_the_client_has_its_answer() -> None:
    stage = staged()
    client, server = stage.asked()
    assert not stage.dials
    server.send(answer({"by": "old"})[:-3])
    assert not stage.dials
    server.send(answer({"by": "old"})[-3:])
    assert client.answer().json == {"by": "old"}
    served(stage, NEW, {"by": "new"})
    record, comparison = copy(stage)
    assert (record.status, comparison.status, comparison.backend) == (200, 200, "old")
    stage.end()


def test_copy_of_a_stream_begins_when_it_has_begun() -> None:
    stage = staged()
    client, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD)
    assert not stage.dials
    server.send(chunk(EVENT))
    assert b"hi" in client.heard
    new = stage.server(NEW)
    assert json.loads(new.request()[1])["stream_options"] == {"include_usage": True}
    new.stream(EVENT, DONE)
    assert not copies(stage), "the client's is not over"
    server.send(chunk(EVENT), chunk(DONE), b"0\r\n\r\n")
    record, comparison = copy(stage)
    assert (record.streamed, comparison.outcome, comparison.similarity) == (True, "ok", 0.6667)
    stage.end()


def test_stream_that_ends_first_waits_for_its_copy() -> None:
    stage = staged()
    _client, server = stage.asked(chat(stream=True))
    server.stream(EVENT, DONE)
    assert not copies(stage)
    stage.server(NEW).answer({"choices": [{"message": {"content": "hi"}}]})
    _record, comparison = copy(stage)
    assert comparison.similarity == 1.0
    stage.end()


@pytest.mark.parametrize("sample, begun", [("100%", 1), ("0%", 0)])
def test_copies_are_drawn_by_the_requests_id(sample: str, begun: int) -> None:
    stage = staged(shadow={"sample": sample})
    answered(stage)
    assert len(stage.dials) == begun
    assert shadow_row(stage)["requests"] == begun
    assert not skips(stage)


def test_refusal_without_an_attempt_is_not_copied() -> None:
    stage = staged()
    client = stage.client()
    client.ask(chat(model="nobody's"))
    assert client.answer().status == 404
    stage.wait(0.1)
    assert not stage.dials
    stage.end()


def test_answer_of_the_fallback_chain_is_compared_as_the_gateways_own() -> None:
    rule = {"rule": {"status": 200, "body": {"answer": "hold"}}}
    stage = staged(retry={"attempts": 1}, fallback=[rule])
    client, server = stage.asked()
    server.reset()
    assert client.answer().json == {"answer": "hold"}
    served(stage, NEW, {"by": "new"})
    _record, comparison = copy(stage)
    assert (comparison.backend, comparison.outcome, comparison.status) == ("", "ok", 200)
    stage.end()


def test_client_that_leaves_before_its_answer_is_not_copied() -> None:
    stage = staged()
    client, _server = stage.asked()
    client.reset()
    assert not stage.dials
    assert shadow_row(stage)["requests"] == 0
    stage.end()


# what is sent


def test_copy_is_the_request_rewritten_for_its_backend() -> None:
    stage = staged(new={"model": "new-7b", "api_key": "k", "headers": {"x-own": "1"}})
    trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    fields = ("x-request-id: mine", "authorization: Bearer clients", "x-other: 2", trace)
    _client, server = answered(stage, chat(*fields, temperature=1))
    new = stage.server(NEW)
    body = json.loads(new.request()[1])
    assert (body["model"], body["temperature"]) == ("new-7b", 1)
    assert new.fields()["authorization"] == "Bearer k"
    assert (new.fields()["x-own"], new.fields()["x-other"]) == ("1", "2")
    assert new.fields()["x-request-id"] == server.fields()["x-request-id"] == "mine"
    assert new.fields()["traceparent"] == server.fields()["traceparent"]
    assert new.fields()["x-request-timeout-ms"] == "60000"


def test_copy_tells_who_called_where_the_plan_says_so() -> None:
    settings = serving(
        "old",
        top={
            "backends": {"new": {"protocol": "openai", "url": "http://new.test/v1"}},
            "forwarded": {"x_forwarded": True},
        },
        shadow=[ALL],
    )
    stage = compared(Stage(settings))
    client = stage.client("198.51.100.9")
    client.ask(chat())
    stage.server("old").answer({})
    assert stage.server(NEW).fields()["x-forwarded-for"] == "198.51.100.9"


def test_several_copies_of_one_request_are_independent() -> None:
    backends = {
        name: {"protocol": "openai", "url": f"http://{name}.test/v1"} for name in ("b", "c")
    }
    shadow = [{"backend": name, "sample": "100%"} for name in backends]
    stage = compared(Stage(serving("old", top={"backends": backends}, shadow=shadow)))
    answered(stage)
    stage.server("shadow:b").answer({"by": "b"})
    assert [record.backend for record in copies(stage)] == ["shadow:b"]
    stage.server("shadow:c").reset()
    assert [record.outcome for record in copies(stage)] == ["ok", "upstream_closed"]
    stage.end()


# what becomes of it


@pytest.mark.parametrize(
    "status, outcome",
    [(200, "ok"), (404, "upstream_4xx"), (429, "upstream_429"), (500, "upstream_5xx")],
)
def test_answers_of_the_challenger_are_recorded_as_they_are(status: int, outcome: str) -> None:
    stage = staged()
    answered(stage)
    stage.server(NEW).answer({"x": 1}, status)
    record, comparison = copy(stage)
    assert record.status == status
    assert record.outcome.endswith(outcome.removeprefix("upstream_"))
    assert comparison.outcome == "ok"
    assert stage.outcomes("chat") == {"ok": 1}
    assert stage.cell("old")["consecutive"] == 0
    stage.end()


def test_dial_that_fails_is_no_clients_failure() -> None:
    stage = staged()
    client, _server = answered(stage)
    stage.no_server()
    assert copy(stage)[0].outcome == "connect_failed"
    assert client.answer().status == 200
    assert stage.outcomes("chat") == {"ok": 1}
    stage.end()


def test_copy_has_a_time_of_its_own() -> None:
    stage = staged(shadow={"timeout": "2s"})
    answered(stage)
    stage.server(NEW)
    stage.wait(1.9)
    assert not copies(stage)
    stage.wait(0.2)
    assert copy(stage)[0].outcome == "total_timeout"
    stage.end()


def test_copy_that_is_never_connected_times_out() -> None:
    stage = staged(shadow={"timeout": "500ms"}, new={"timeout": {"connect": "10s"}})
    answered(stage)
    stage.wait(0.6)
    assert copy(stage)[0].outcome == "connect_timeout"
    stage.dials.clear()
    stage.end()


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_answer_that_is_too_long_is_cut_off(framing: str) -> None:
    stage = staged(shadow={"max_body": "4KiB"})
    answered(stage)
    new = stage.server(NEW)
    head = {
        "length": b"HTTP/1.1 200 OK\r\ncontent-length: 900000\r\n\r\n",
        "chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "close": b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
    }[framing]
    for piece in (head, *[b"x" * 1000] * 9):
        new.send(chunk(piece) if framing == "chunked" and piece is not head else piece)
    assert not new.is_open
    record, comparison = copy(stage)
    assert record.outcome == "cancelled"
    assert record.response.bytes > 4096
    assert record.response.type == ""
    assert (comparison.agrees, comparison.status) == (None, 200)
    stage.end()


def test_stream_that_is_too_long_is_read_on_for_its_usage() -> None:
    stage = staged(shadow={"max_body": "4KiB"}, new={"price": {"input": 1, "output": 1}})
    answered(stage, chat(stream=True))
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}\n\n'
    stage.server(NEW).stream(*[EVENT] * 200, usage, DONE)
    record, comparison = copy(stage)
    assert record.usage is not None
    assert record.usage.output_tokens == 7
    assert record.cost_usd == pytest.approx(12e-6)
    assert comparison.similarity is None
    assert shadow_row(stage)["uncompared"] == 1
    stage.end()


def test_clients_answer_that_is_too_long_is_not_kept() -> None:
    stage = staged(shadow={"max_body": "4KiB"})
    _client, server = stage.asked()
    server.answer({"text": "x" * 9000})
    before = held(stage)
    served(stage, NEW, {"by": "new"})
    assert 0 < held(stage) < before < 4 * 4096
    assert copy(stage)[1].difference_count == 0
    assert held(stage) == 0
    stage.end()


def test_clients_stream_that_breaks_off_ends_the_wait() -> None:
    stage = staged()
    _client, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD, chunk(EVENT))
    served(stage, NEW, {})
    server.reset()
    assert copy(stage)[1].outcome == "truncated"
    stage.end()


# limits


def test_request_that_is_too_long_is_skipped() -> None:
    stage = staged(shadow={"max_body": "1KiB"})
    answered(stage, chat(user="x" * 2000))
    assert skips(stage) == {"too_long": 1}
    assert not stage.dials


def test_upload_that_was_relayed_is_skipped() -> None:
    settings = echoing(
        limits={"replay": "16B"},
        top={"backends": {}},
        shadow=[ALL],
    )
    settings["backends"] = {
        "echo": {"protocol": "http", "url": "http://echo.test"},
        "new": {"protocol": "http", "url": "http://new.test"},
    }
    stage = compared(Stage(settings))
    head = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 40\r\n\r\n"
    client, server = stage.asked(head + b"x" * 40)
    server.answer({})
    assert client.answer().status == 200
    assert skips(stage) == {"not_kept": 1}
    stage.end()


def test_request_that_the_backend_cannot_answer_is_skipped() -> None:
    stage = staged(new={"capabilities": ["chat"]})
    answered(stage, chat(tools=[{"type": "function", "function": {"name": "f"}}]))
    assert skips(stage) == {"not_capable": 1}


def test_concurrency_is_a_limit_of_all_workers() -> None:
    stage = staged(shadow={"max_concurrency": 2})
    for _ in range(3):
        answered(stage)
    assert skips(stage) == {"concurrency": 1}
    served(stage, NEW, {})
    answered(stage)
    assert skips(stage) == {"concurrency": 1}
    assert shadow_row(stage)["requests"] == 3


def test_own_limit_of_the_backend_holds_for_copies_too() -> None:
    stage = staged(new={"max_concurrency": 1})
    answered(stage)
    answered(stage)
    assert skips(stage) == {"concurrency": 1}


def test_memory_is_counted_before_it_is_taken() -> None:
    stage = staged(shadow={"max_body": "4KiB", "max_memory": "20KiB"})
    answered(stage)
    assert 2 * 4096 < held(stage) < 10 * 1024
    answered(stage)
    answered(stage)
    assert skips(stage) == {"memory": 1}
    for _ in range(2):
        served(stage, NEW, {"by": "new"})
    assert held(stage) < 4096
    while len(copies(stage)) < 2:
        pass
    assert held(stage) == 0
    stage.end()


def test_money_of_the_day_is_shared_and_kept_across_reloads() -> None:
    settings = serving(
        "old",
        top={"backends": {"new": {"protocol": "openai", "url": "http://new.test/v1", **PRICE}}},
        shadow=[{**ALL, "max_usd_per_day": 0.0015}],
    )
    stage = compared(Stage(settings))
    for _ in range(3):
        answered(stage)
        if skips(stage) != {"money": 1}:
            served(stage, NEW, {})
    assert skips(stage) == {"money": 1}
    stage.apply({**settings, "server_header": "other"})
    answered(stage)
    assert skips(stage) == {"money": 2}
    [mirror] = stage.table.routes_by_index[0].mirrors or ()
    assert len(copies(stage)) == 2
    assert mirror.backend.name == NEW


def test_a_new_day_begins_with_all_its_money() -> None:
    stage = staged(new=PRICE, shadow={"max_usd_per_day": 1})
    [mirror] = stage.table.routes_by_index[0].mirrors or ()
    mirror.spend(20_000, 7)
    mirror.spend(20_000, 5)
    assert mirror.spent(20_000) == 12
    assert mirror.spent(20_001) == 0
    mirror.spend(20_001, 3)
    mirror.spend(20_000, 4)  # a worker that has not seen midnight yet
    assert mirror.spent(20_001) == mirror.spent(20_000) == 7
    mirror.spend(20_009, 1 << 60)
    mirror.spend(20_009, 1 << 60)
    assert mirror.spent(20_009) == (1 << 48) - 1


def test_breaker_of_the_challenger_is_its_own() -> None:
    stage = staged(new={"breaker": {"consecutive": 2}})
    for _ in range(2):
        answered(stage)
        stage.no_server()
    answered(stage)
    assert skips(stage) == {"breaker": 1}
    assert stage.cell("new")["open_until_ns"] == 0
    assert stage.cell(NEW)["open_until_ns"] > 0


def test_probe_of_a_half_open_breaker_is_given_back() -> None:
    stage = staged(new={"breaker": {"consecutive": 1, "open": "1s", "probes": 1}})
    answered(stage)
    stage.no_server()
    stage.wait(1.5)
    answered(stage)
    answered(stage)
    assert skips(stage) == {"breaker": 1}
    served(stage, NEW, {})
    answered(stage)
    assert skips(stage) == {"breaker": 1}
    assert shadow_row(stage)["requests"] == 3


def test_backend_that_wants_a_pause_gets_it() -> None:
    stage = staged()
    answered(stage)
    served(stage, NEW, {}, 429, "retry-after: 9")
    answered(stage)
    assert skips(stage) == {"breaker": 1}


def test_unhealthy_backend_gets_no_copies() -> None:
    stage = staged()
    backend = next(each for each in stage.table.backends if each.name == NEW)
    backend.set_health(False, stage.now_ns)
    answered(stage)
    assert skips(stage) == {"unhealthy": 1}


def test_worker_that_drains_copies_nothing_and_ends_what_it_has() -> None:
    stage = staged()
    answered(stage)
    new = stage.server(NEW)
    stage.worker.lame_duck()
    answered(stage)
    assert skips(stage) == {"draining": 1}
    shadowing = stage.worker.shadowing
    assert isinstance(shadowing, Shadowing)
    was_idle = shadowing.is_idle
    shadowing.finish()
    assert (was_idle, shadowing.is_idle) == (False, True)
    assert not new.is_open
    assert copy(stage)[0].outcome == "cancelled"
    stage.end()


def test_copies_leave_the_last_of_the_log_to_clients() -> None:
    stage = staged()
    stage.log.stream.close()
    client, _server = answered(stage)
    assert client.answer().status == 200
    assert skips(stage) == {"log_full": 1}


# defects


def test_defect_of_a_copy_is_counted_and_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise RuntimeError("defect")

    monkeypatch.setattr("gateway.dataplane.slow.SlowPaths.client_fields", fail)
    stage = staged(new={"forward": ["x-api-key"]})
    client, _server = answered(stage, chat("x-api-key: k"))
    stage.server(NEW)
    assert client.answer().status == 200
    assert [str(error) for error in stage.loop.errors] == ["defect"]
    stage.loop.errors.clear()
    stage.wait(62)
    assert copy(stage)[0].outcome == "cancelled"
    assert held(stage) == 0


def test_comparison_that_fails_leaves_a_record_of_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("defect")

    monkeypatch.setattr("gateway.comparison.comparer.Comparer.read", fail)
    stage = staged()
    client, _server = answered(stage)
    served(stage, NEW, {"by": "new"})
    record, comparison = copy(stage)
    assert (record.outcome, comparison.agrees) == ("ok", None)
    assert client.answer().status == 200
    assert shadow_row(stage)["uncompared"] == 1
    assert [str(error) for error in stage.loop.errors] == ["defect"]
    stage.loop.errors.clear()
    stage.end()


def test_without_a_log_nothing_is_compared_or_kept() -> None:
    stage = staged()
    stage.worker.record_with(None, None, False)
    answered(stage)
    served(stage, NEW, {"by": "new"})
    stage.worker.tick()
    assert held(stage) == 0
    assert shadow_row(stage)["outcomes"][0] == 1


def test_without_anybody_who_compares_copies_end_all_the_same() -> None:
    stage = staged(shadow={"max_body": "4KiB"})
    stage.worker.compare_with(None)
    answered(stage)
    stage.server(NEW).answer({"text": "x" * 9000})
    assert held(stage) == 0
    assert not stage.worker.shadows


# records


def test_record_of_a_copy_names_the_clients_record() -> None:
    stage = staged(new={"version": "7"})
    answered(stage, chat("x-request-id: mine", user="u-1"))
    served(stage, NEW, {"by": "new"})
    record, comparison = copy(stage)
    [client] = [one for one in stage.log.records() if one.kind == "prediction"]
    assert comparison.of == client.id != client.request_id == record.request_id == "mine"
    assert record.id not in {client.id, "mine"}
    assert (record.backend, record.version, record.user) == (NEW, "7", "u-1")
    assert bytes(record.response.body) == b'{"by": "new"}'  # type: ignore[arg-type]
    assert [attempt.backend for attempt in record.attempts] == [NEW]
    assert not record.decisions


def test_what_is_taken_out_of_records_is_taken_out_of_copies_too() -> None:
    patterns = {"payload": "full", "redact": {"pointers": ["/secret"], "patterns": ["email"]}}
    compare = {"label": "/who"}
    stage = staged(record=patterns, shadow={"compare": compare})
    _client, server = stage.asked()
    server.answer({"secret": "s3", "who": "a@b.example"})
    stage.server(NEW).answer({"secret": "s4", "who": "c@d.example", "e@f.example": 1})
    record, comparison = copy(stage)
    text = b"".join(stage.log.lines())
    for word in (b"s3", b"s4", b"a@b.example", b"c@d.example", b"e@f.example"):
        assert word not in text
    assert comparison.agrees is False
    assert record.response.redacted == 3


def test_body_is_kept_only_where_the_route_says_so() -> None:
    stage = staged(record={"payload": "digest"})
    answered(stage)
    served(stage, NEW, {"by": "new"})
    record, comparison = copy(stage)
    assert (record.response.type, bool(record.response.xxh3)) == ("", True)
    assert comparison.of


def test_copies_make_no_cycles() -> None:
    stage = staged()
    answered(stage)
    served(stage, NEW, {"by": "new"})
    copies(stage)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            answered(stage)
            served(stage, NEW, {"by": "new"})
            stage.worker.tick()
        assert not [each for each in gc.get_objects() if isinstance(each, Shadow)]
    finally:
        gc.enable()


# time of the worker


def test_bodies_are_not_compared_when_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look takes a second: a share of the worker's time is soon used up."""
    clock = iter(range(0, 10**15, 10**9))
    monkeypatch.setattr("gateway.dataplane.shadowing.time.thread_time_ns", lambda: next(clock))
    monkeypatch.setattr("gateway.dataplane.shadowing.time.monotonic_ns", lambda: 0)
    stage = staged()
    for _ in range(4):
        answered(stage)
        served(stage, NEW, {"by": "new"})
    for _ in range(4):
        stage.worker.tick()
    found = copies(stage)
    assert len(found) == 4
    assert shadow_row(stage)["uncompared"] == 3
    stage.end()


def test_one_tick_takes_no_longer_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**15, 10**7))
    monkeypatch.setattr("gateway.dataplane.shadowing.time.thread_time_ns", lambda: next(clock))
    stage = staged()
    for _ in range(3):
        answered(stage)
        served(stage, NEW, {"by": "new"})
    assert [len(copies(stage)) for _ in range(3)] == [1, 2, 3]
