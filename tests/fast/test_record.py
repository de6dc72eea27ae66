"""What the record of an exchange says, for each way in which one can go."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from msgspec import UNSET

from gateway._fast import hash_of
from gateway.messages import Record
from tests.support.messages import STREAM_HEAD, chat, chunk, post
from tests.support.records import segment
from tests.support.stage import Client, Stage, serving

PLAIN: dict[str, Any] = {"redact": {"patterns": []}}
FULL: dict[str, Any] = {"payload": "full", **PLAIN}
PRICE = {"price": {"input": 1.0, "output": 2.0}}
SAID = {
    "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 500},
}


def body(payload: Any) -> Any:
    return json.loads(bytes(payload.body))


def recorded(stage: Stage) -> Record:
    """The only record; the stage must be settled."""
    stage.assert_settled()
    (record,) = stage.log.records()
    return record


def test_an_answered_request_says_who_when_and_for_how_much() -> None:
    stage = Stage(serving("a", "b", each={**PRICE, "version": "v7", "model": "m-1"}))
    _client, server = stage.asked(chat("x-request-id: mine", user="anna"))
    server.answer(SAID)
    record = recorded(stage)
    assert (record.kind, record.outcome, record.status) == ("prediction", "ok", 200)
    assert (record.request_id, record.user, record.model) == ("mine", "anna", "chat")
    assert record.id != "mine"
    assert (record.route, record.protocol, record.operation) == ("chat", "openai", "chat")
    assert (record.backend, record.backend_model, record.version) == ("a", "m-1", "v7")
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.output_tokens) == (1000, 500)
    assert record.cost_usd == pytest.approx(0.002)
    assert record.price is not None
    assert (record.price.source, record.price.input, record.price.output) == ("config", 1.0, 2.0)
    assert record.finish_reason == "stop"
    assert record.plan == stage.plan.hash
    assert record.time.endswith("Z")


def test_our_own_id_names_the_record_too() -> None:
    stage = Stage(serving("a"))
    client, server = stage.asked()
    server.answer(SAID)
    record = recorded(stage)
    assert record.id == record.request_id == client.answer().fields["x-request-id"]


def test_a_decision_says_who_could_have_answered() -> None:
    stage = Stage(serving("a", "b", "c", policy="cheapest", each=PRICE))
    _client, server = stage.asked(chat(max_tokens=10))
    server.answer(SAID)
    (decision,) = recorded(stage).decisions
    assert [each.backend for each in decision.candidates] == ["a", "b", "c"]
    assert all(each.expected_usd for each in decision.candidates)
    assert decision.chosen == server.name
    assert decision.probability == pytest.approx(1 / 3)
    assert decision.capabilities == ("chat",)
    assert decision.output_tokens == 10


def test_a_retry_is_a_second_attempt_and_a_second_decision() -> None:
    stage = Stage(serving("a", "b"))
    client = stage.client()
    client.ask(chat())
    stage.server("a").answer({"error": "no"}, 500)
    stage.server("b").answer(SAID)
    record = recorded(stage)
    assert [(each.backend, each.outcome, each.status) for each in record.attempts] == [
        ("a", "upstream_5xx", 500),
        ("b", "ok", 200),
    ]
    first, second = record.decisions
    assert (first.chosen, second.chosen, second.tried) == ("a", "b", ("a",))
    assert second.candidates[0].excluded == "tried"
    assert record.backend == "b"


@pytest.mark.parametrize(
    "request_, outcome, status",
    [
        (b"GET /nothing HTTP/1.1\r\nhost: g\r\n\r\n", "no_path", 404),
        (post("/v1/chat/completions", {"model": "nobody"}), "no_route", 404),
        (post("/v1/chat/completions", b"{"), "bad_body", 400),
        (b"GET / HTTP/1.1\r\nhost: g\r\nhost: h\r\n\r\n", "bad_request", 400),
    ],
)
def test_a_refusal_is_recorded(request_: bytes, outcome: str, status: int) -> None:
    stage = Stage(serving("a"))
    client = stage.client()
    client.ask(request_)
    record = recorded(stage)
    assert (record.kind, record.outcome, record.status) == ("refusal", outcome, status)
    assert record.attempts == ()
    assert record.response.bytes == len(client.answer().body)


def test_who_leaves_early_is_recorded_as_cancelled() -> None:
    stage = Stage(serving("a", each=PRICE))
    client, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD, chunk(b'data: {"choices":[]}\n\n'))
    client.reset()
    record = recorded(stage)
    assert (record.kind, record.outcome) == ("cancelled", "client_closed")
    assert record.attempts[0].outcome == "cancelled"
    assert record.streamed


def test_a_failed_backend_is_recorded_with_what_the_client_got() -> None:
    stage = Stage(serving("a", retry={"attempts": 1}))
    client = stage.client()
    client.ask(chat())
    stage.no_server()
    record = recorded(stage)
    assert (record.kind, record.outcome, record.status) == ("prediction", "connect_failed", 502)
    assert record.response.bytes == len(client.answer().body)
    assert record.backend == ""


def test_the_record_is_there_before_the_answer_leaves() -> None:
    """A worker that is killed in between must not have answered without a record."""
    stage = Stage(serving("a"))
    client, server = stage.asked()
    seen = lines_at_writes(stage, client)
    server.answer(SAID)
    assert [lines for _, lines in seen] == [1]


def test_the_record_of_a_stream_is_there_before_its_end_leaves() -> None:
    stage = Stage(serving("a"))
    client, server = stage.asked(chat(stream=True))
    seen = lines_at_writes(stage, client)
    server.stream(b'data: {"choices":[]}\n\n', b"data: [DONE]\n\n")
    assert seen[-1] == (True, 1)
    assert all(lines == 0 for is_end, lines in seen if not is_end)


def lines_at_writes(stage: Stage, client: Client) -> list[tuple[bool, int]]:
    """For each write to the client: whether it ends a chunked body, and the lines by then."""
    seen: list[tuple[bool, int]] = []
    write = client.transport.write

    def watched(data: bytes) -> None:
        seen.append((data.endswith(b"0\r\n\r\n"), len(stage.log.lines())))
        write(data)

    client.transport.write = watched  # type: ignore[method-assign]
    return seen


# -- payloads


def test_by_default_bodies_are_sizes_and_hashes() -> None:
    stage = Stage(serving("a"))
    request = chat(user="u")
    client, server = stage.asked(request)
    server.answer(SAID)
    record = recorded(stage)
    sent = request.partition(b"\r\n\r\n")[2]
    assert (record.request.bytes, record.request.xxh3) == (len(sent), f"{hash_of(sent):016x}")
    assert record.response.xxh3 == f"{hash_of(client.answer().body):016x}"
    assert record.request.type == record.response.type == ""


def test_a_route_may_keep_nothing_but_sizes() -> None:
    stage = Stage(serving("a", record={"payload": "none"}))
    _client, server = stage.asked()
    server.answer(SAID)
    assert recorded(stage).request.xxh3 == ""


def test_full_bodies_are_json_where_they_are() -> None:
    stage = Stage(serving("a", record=FULL))
    pretty = json.dumps({"model": "chat", "messages": []}, indent=2).encode()
    _client, server = stage.asked(post("/v1/chat/completions", pretty))
    server.answer(SAID)
    record = recorded(stage)
    assert (record.request.type, body(record.request)) == ("json", json.loads(pretty))
    assert (record.response.type, body(record.response)) == ("json", SAID)
    assert not record.response.truncated


@pytest.mark.parametrize(
    "answer, kind, kept",
    [
        ("grüße".encode(), "text", "grüße"),
        (b"\xff\xfe", "base64", base64.b64encode(b"\xff\xfe").decode()),
        (b"[1,", "text", "[1,"),
        (b"", "text", ""),
    ],
)
def test_other_bodies_are_text_or_base64(answer: bytes, kind: str, kept: str) -> None:
    stage = Stage(serving("a", record=FULL, retry={"attempts": 1}))
    _client, server = stage.asked()
    server.send(
        b"HTTP/1.1 418 no\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%b"
        % (len(answer), answer)
    )
    record = recorded(stage)
    assert (record.response.type, body(record.response)) == (kind, kept)


@pytest.mark.parametrize("cut", range(1, 12))
def test_what_is_cut_says_so_and_stays_utf8(cut: int) -> None:
    stage = Stage(serving("a", record={**FULL, "max": 1000 + cut}))
    content = "a" * 980 + "😀é€" * 10
    _client, server = stage.asked(post("/v1/chat/completions", {"model": "chat", "x": content}))
    server.answer(SAID)
    record = recorded(stage)
    assert (record.request.type, record.request.truncated) == ("text", True)
    assert record.request.bytes > 1000 + cut
    assert len(body(record.request).encode()) <= 1000 + cut


def test_a_stream_is_kept_as_it_was_relayed_up_to_the_limit() -> None:
    stage = Stage(serving("a", record={**FULL, "max": 200}))
    _client, server = stage.asked(chat(stream=True))
    events = [b'data: {"choices":[],"n":%d}\n\n' % n for n in range(30)]
    server.stream(*events, b"data: [DONE]\n\n")
    record = recorded(stage)
    kept = body(record.response)
    assert record.response.truncated
    assert b"".join(events).startswith(kept.encode())
    assert len(kept) == 200
    assert record.response.bytes > 200
    assert record.timing.gaps > 0


def test_sampling_goes_by_the_request_id() -> None:
    kept = []
    stage = Stage(serving("a", record={"payload": "sampled", "sample": 0.3, **PLAIN}))
    for number in range(300):
        _client, server = stage.asked(chat(f"x-request-id: r-{number}"))
        server.answer(SAID)
        server.reset()
    for record in stage.log.records():
        by_id = (hash_of(record.request_id.encode()) * 1_000_000 >> 64) < 300_000
        kept.append(record.request.type == "json")
        assert kept[-1] == by_id
    assert 60 < sum(kept) < 120


def test_inputs_of_a_prediction_are_features() -> None:
    settings = serving("a", each={"protocol": "kserve", "url": "http://a.test"}, record=PLAIN)
    stage = Stage(settings)
    inputs = [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1.5, 2]}]
    _client, server = stage.asked(post("/v2/models/chat/infer", {"inputs": inputs}))
    server.answer({"outputs": []})
    assert json.loads(bytes(recorded(stage).features)) == inputs  # type: ignore[arg-type]


def predicted(
    answer: Any, *fields: str, status: int = 200, how: str = "http", **record: Any
) -> Stage:
    """A stage where an answer came to one prediction."""
    each = {"protocol": how, "url": "http://a.test"}
    stage = Stage(serving("a", each=each, record={**PLAIN, **record}))
    path = "/v2/models/chat/infer" if how == "kserve" else "/v1/models/chat:predict"
    _client, server = stage.asked(post(path, {"inputs": [], "instances": [[1]]}))
    server.answer(answer, status, *fields)
    return stage


def predictions(stage: Stage) -> Any:
    return json.loads(bytes(recorded(stage).predictions))  # type: ignore[arg-type]


def test_what_a_model_answered_is_predictions() -> None:
    rows = [{"label": "a", "p": [0.25, 0.75]}]
    assert predictions(predicted({"predictions": rows})) == rows
    assert predictions(predicted({"predictions": 7}, payload="none")) == 7
    assert predictions(predicted({"r": [0.5, 1]}, predictions="/r/0")) == 0.5
    tensors = [{"name": "y", "shape": [1], "data": [0.5]}]
    assert predictions(predicted({"outputs": tensors}, how="kserve")) == tensors


@pytest.mark.parametrize(
    "stage",
    [
        predicted({"other": 1}),
        predicted({"predictions": "x" * 70_000}),
        predicted({"predictions": 1, "other": "x" * 140_000}),
        predicted({"predictions": 1}, status=404),
        predicted({"predictions": 1}, "content-encoding: gzip"),
        predicted([]),
    ],
    ids=["elsewhere", "too long", "in too long a body", "an error", "encoded", "no object"],
)
def test_what_is_no_whole_prediction_is_none(stage: Stage) -> None:
    assert recorded(stage).predictions is UNSET


def test_what_kserve_says_of_a_model_is_no_prediction() -> None:
    stage = Stage(serving("a", each={"protocol": "kserve", "url": "http://a.test"}, record=PLAIN))
    _client, server = stage.asked(b"GET /v2/models/chat HTTP/1.1\r\nhost: g\r\n\r\n")
    server.answer({"name": "chat", "outputs": [{"name": "y", "shape": [1]}]})
    assert recorded(stage).predictions is UNSET


def test_predictions_are_cleaned_like_bodies() -> None:
    rows = [{"who": "ann@example.org"}]
    assert predictions(predicted({"predictions": rows})) == rows
    stage = predicted({"predictions": rows}, redact={"patterns": ["email"]})
    assert predictions(stage) == [{"who": "[redacted:email]"}]


def test_headers_are_kept_by_name_and_credentials_never() -> None:
    stage = Stage(serving("a", record={"headers": ["x-team"], **PLAIN}))
    _client, server = stage.asked(chat("X-Team:  red ", "authorization: Bearer s3cret"))
    server.answer(SAID)
    assert recorded(stage).headers == {"x-team": "red"}
    assert b"s3cret" not in b"".join(stage.log.lines())


def test_the_user_may_stand_in_a_header() -> None:
    stage = Stage(serving("a", top={"log": {"user_header": "x-user"}}))
    _client, server = stage.asked(chat('x-user: a"b'))
    server.answer(SAID)
    assert recorded(stage).user == 'a"b'


def test_a_user_that_is_to_be_taken_out_is_in_no_field() -> None:
    stage = Stage(serving("a", record={"payload": "full", "redact": {"pointers": ["/user"]}}))
    _client, server = stage.asked(chat(user="anna-the-user"))
    server.answer(SAID)
    assert recorded(stage).user == ""
    assert b"anna-the-user" not in b"".join(stage.log.lines())


def test_names_that_may_be_credentials_are_looked_at() -> None:
    key = "sk-proj-" + "a1B2" * 8
    stage = Stage(serving("a"))
    client = stage.client()
    client.ask(chat(f"x-request-id: {key}", user=key))
    stage.server().answer(SAID)
    client.ask(f"{'AKIA' + 'IOSFODNN7' + 'EXAMPLE'} / HTTP/1.1\r\nhost: g\r\n\r\n".encode())
    assert client.heard.count(key.encode()) == 1  # the client's own id comes back to it
    lines = b"".join(stage.log.lines())
    assert key.encode() not in lines
    assert b"AKIA" not in lines
    record = stage.log.records()[0]
    assert record.user == "[redacted:secrets]"


def test_a_pattern_of_the_route_holds_for_its_users() -> None:
    patterns = {"redact": {"patterns": ["email"]}}
    stage = Stage(serving("a", record=patterns))
    _client, server = stage.asked(chat(user="a@b.example"))
    server.answer(SAID)
    assert recorded(stage).user == "[redacted:email]"


def test_a_trace_goes_with_the_record() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    stage = Stage(serving("a"))
    _client, server = stage.asked(chat(f"traceparent: 00-{trace}-b7ad6b7169203331-01"))
    server.answer(SAID)
    assert recorded(stage).trace_id == trace


def test_a_redactor_that_fails_leaves_the_body_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(serving("a", record={"payload": "full"}))

    def fail(*_: object) -> bytes:
        raise RuntimeError("defect")

    monkeypatch.setattr("gateway.payloads.redaction.Redactor.payload", fail)
    client, server = stage.asked()
    server.answer(SAID)
    assert client.answer().status == 200
    record = stage.log.records()[0]
    assert (record.request.type, record.request.bytes > 0) == ("", True)
    assert [str(error) for error in stage.loop.errors] == ["defect", "defect"]


def test_refusals_for_want_of_room_take_none_of_it() -> None:
    """What is left in a segment is for requests that were let in before."""
    stage = Stage(serving("a"))
    stage.log.stream.close()
    stage.log.stream.attach(segment(2, 8192))
    waiting, server = stage.asked()
    stage.log.stream.add(b"x" * 6200, stage.now_ns)
    stage.worker.record_with(stage.log.recorder, stage.log.stream, True)
    for _ in range(50):
        client = stage.client()
        client.ask(chat())
        assert client.answer().status == 503
    server.answer(SAID)
    assert waiting.answer().status == 200
    last = json.loads(stage.log.lines()[-1])
    assert (last["outcome"], last["seq"]) == ("ok", 52)
    assert stage.log.stream.dropped == 50


def test_without_room_for_records_requests_are_refused_where_that_is_wished() -> None:
    stage = Stage(serving("a"))
    stage.shed()
    client = stage.client()
    client.ask(chat())
    assert client.answer().status == 503
    assert client.answer().json["error"]["code"] == "log_full"
