"""When no candidate can answer: the route's chain in its order, and the two redirects."""

from typing import Any

import pytest

from tests.support.messages import STREAM_HEAD, chat, chunk
from tests.support.stage import Client, Settings, Stage, echoing, serving

ONE = {"attempts": 1}
RULE = {"rule": {"status": 200, "body": {"answer": "please hold"}}}
SPARE: Settings = {"spare": {"protocol": "openai", "url": "http://spare.test/v1"}}
TOO_LONG = {"error": {"message": "long", "code": "context_length_exceeded"}}
FILTERED = {"error": {"message": "no", "code": "content_filter"}}


def falling(*chain: Any, top: Settings | None = None, **route: Any) -> Stage:
    more = {"backends": SPARE, **(top or {})}
    return Stage(serving("a", top=more, **{"retry": ONE, "fallback": list(chain), **route}))


def failed(stage: Stage, status: int = 500) -> Client:
    client, server = stage.asked()
    server.answer({"error": "a"}, status)
    return client


def told(client: Client) -> tuple[int, Any, str | None]:
    answer = client.answers()[-1]
    return answer.status, answer.json, answer.fields.get("x-gateway-fallback")


def test_without_a_chain_the_failure_is_told_as_it_is() -> None:
    stage = falling()
    assert told(failed(stage)) == (500, {"error": "a"}, None)
    assert stage.outcomes("chat") == {"upstream_5xx": 1}
    stage.end()


def test_a_spare_backend_answers() -> None:
    stage = falling({"backend": "spare"})
    client = failed(stage)
    server = stage.server("spare")
    server.answer({"by": "spare"})
    assert told(client) == (200, {"by": "spare"}, "backend")
    assert client.answer().fields["x-gateway-backend"] == "spare"
    assert client.answer().fields["x-gateway-attempts"] == "2"
    assert stage.row("chat")["fallbacks"] == 1
    stage.end()


def test_a_spare_backend_is_asked_for_its_own_model() -> None:
    stage = falling({"backend": "spare"})
    failed(stage)
    assert b'"model": "spare"' in stage.server("spare").request()[1]


def test_the_whole_of_another_route_answers() -> None:
    routes = {"other": {"backends": ["spare"], "fallback": [RULE], "retry": ONE}}
    stage = falling({"route": "other"}, top={"routes": routes})
    client = failed(stage)
    stage.server("spare").answer({"error": 1}, 500)
    assert told(client) == (200, {"answer": "please hold"}, "rule")
    assert stage.outcomes("chat") == {"upstream_5xx": 1}
    assert stage.outcomes("other") == {"ok": 1}
    stage.end()


def test_another_routes_answer_says_so() -> None:
    routes = {"other": {"backends": ["spare"]}}
    stage = falling({"route": "other"}, top={"routes": routes})
    client = failed(stage)
    stage.server("spare").answer({"by": "spare"})
    assert told(client) == (200, {"by": "spare"}, "route")
    stage.end()


@pytest.mark.parametrize(
    "body, kind, said",
    [
        ({"a": [1]}, "application/json", b'{"a":[1]}'),
        ("sorry", "text/plain; charset=utf-8", b"sorry"),
    ],
)
def test_a_rule_says_what_it_says(body: Any, kind: str, said: bytes) -> None:
    stage = falling({"rule": {"body": body}})
    answer = failed(stage).answer()
    assert (answer.status, answer.body, answer.fields["content-type"]) == (200, said, kind)
    assert stage.outcomes("chat") == {"ok": 1}
    stage.end()


def test_a_rule_may_be_a_refusal() -> None:
    stage = falling({"rule": {"status": 503, "body": "later"}})
    answer = failed(stage).answer()
    assert (answer.status, answer.fields["retry-after"]) == (503, "1")
    assert stage.outcomes("chat") == {"no_backend": 1}
    stage.end()


def test_unavailable_is_said_in_the_protocols_shape() -> None:
    answer = failed(falling("unavailable")).answer()
    assert answer.status == 503
    assert answer.json["error"]["code"] == "no_prediction_available"
    assert answer.fields["x-gateway-fallback"] == "unavailable"


# The last good answer


def test_the_last_good_answer_is_given_again() -> None:
    stage = falling("cached")
    stage.client().ask(chat())
    stage.serve()
    client = stage.client()
    client.ask(chat())
    stage.serve(a=500)
    assert told(client) == (200, {"by": "a"}, "cached")
    assert stage.outcomes("chat") == {"ok": 2}
    stage.end()


@pytest.mark.parametrize(
    "other",
    [
        chat(user="someone"),
        chat("authorization: Bearer other"),
        chat(path="/v1/completions"),
        chat(temperature=0.5),
    ],
)
def test_nobody_is_told_what_another_request_was(other: bytes) -> None:
    stage = falling("cached")
    stage.client().ask(chat())
    stage.serve()
    client = stage.client()
    client.ask(other)
    stage.serve(a=500)
    assert told(client) == (500, {"by": "a"}, None)


def test_a_good_answer_grows_old() -> None:
    stage = falling("cached", cache={"ttl": "1h"})
    stage.client().ask(chat())
    stage.serve()
    client = stage.client()
    client.ask(chat())
    stage.serve(a=500)
    assert told(client)[2] == "cached"


def test_an_answer_that_was_a_fallback_is_not_kept() -> None:
    stage = falling({"backend": "spare"}, "cached")
    client = failed(stage)
    stage.serve()
    assert told(client) == (200, {"by": "spare"}, "backend")
    client = stage.client()
    client.ask(chat())
    stage.serve(a=500, spare=500)
    assert told(client)[0] == 500


def test_a_stream_is_not_kept() -> None:
    stage = falling("cached")
    client, server = stage.asked(chat(stream=True))
    event = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
    server.send(STREAM_HEAD, chunk(event), b"0\r\n\r\n")
    assert client.answer().is_whole
    client.ask(chat(stream=True))
    server.answer({"error": 1}, 500)
    assert client.answers()[1].status == 500


# Order and ends


def test_the_chain_is_followed_in_its_order() -> None:
    stage = falling("cached", {"backend": "spare"}, RULE)
    client = failed(stage)
    stage.server("spare").answer({"error": "spare"}, 503)
    assert told(client) == (200, {"answer": "please hold"}, "rule")
    stage.end()


def test_a_chain_that_fails_to_its_end_tells_the_first_failure_that_says_most() -> None:
    stage = falling({"backend": "spare"})
    client = failed(stage)
    stage.no_server()
    assert told(client) == (500, {"error": "a"}, None)
    stage.end()


def test_a_request_that_was_wrong_is_not_answered_by_a_fallback() -> None:
    stage = falling(RULE)
    assert told(failed(stage, 400)) == (400, {"error": "a"}, None)
    stage.end()


def test_time_that_is_up_leaves_only_what_takes_none() -> None:
    stage = falling({"backend": "spare"}, RULE, timeout={"total": "1s"})
    client, server = stage.asked()
    stage.wait(1.1)
    assert told(client) == (200, {"answer": "please hold"}, "rule")
    assert not server.is_open
    assert not stage.dials
    stage.end()


def test_the_chain_serves_whom_no_candidate_can_take() -> None:
    stage = falling(RULE)
    stage.table.backends[0].set_health(False, stage.now_ns)
    client = stage.client()
    client.ask(chat())
    assert told(client) == (200, {"answer": "please hold"}, "rule")
    stage.end()


def test_a_fallback_is_answered_over_http_1_0_and_to_head_too() -> None:
    stage = Stage(echoing(fallback=[RULE]))
    client = stage.client()
    client.ask(b"HEAD /echo HTTP/1.0\r\n\r\n")
    stage.no_server()
    answer = client.answer()
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.fields["content-length"]) > 0


# Redirects of a 400


def redirecting(**route: Any) -> Stage:
    more = {"larger_context": ["spare"], "retry": {"attempts": 2}, **route}
    return Stage(serving("a", top={"backends": SPARE}, **more))


def test_an_input_that_is_too_long_goes_to_a_longer_context() -> None:
    stage = redirecting()
    client, server = stage.asked()
    server.answer(TOO_LONG, 400)
    stage.server("spare").answer({"by": "spare"})
    assert told(client) == (200, {"by": "spare"}, None)
    stage.end()


def test_an_input_that_was_filtered_goes_to_another_filter() -> None:
    stage = redirecting(larger_context=[], content_filter=["spare"])
    client, server = stage.asked()
    server.answer(FILTERED, 400)
    stage.server("spare").answer({"by": "spare"})
    assert told(client)[0] == 200
    stage.end()


@pytest.mark.parametrize("body", [FILTERED, {"error": "other"}])
def test_another_400_is_passed_on(body: Any) -> None:
    stage = redirecting()
    client, server = stage.asked()
    server.answer(body, 400)
    assert told(client) == (400, body, None)
    assert not stage.dials
    stage.end()


def test_when_the_longer_context_fails_too_the_400_is_told() -> None:
    stage = redirecting(retry={"attempts": 3})
    client, server = stage.asked()
    server.answer(TOO_LONG, 400)
    stage.server("spare").answer(TOO_LONG, 400)
    assert told(client) == (400, TOO_LONG, None)
    assert not stage.dials
    stage.end()


def test_a_spare_backend_takes_no_part_in_choosing() -> None:
    stage = redirecting(policy="least_loaded")
    for _ in range(30):
        stage.client().ask(chat())
    assert stage.gauge("spare")["in_flight"] == 0


@pytest.mark.parametrize("amount, label", [(1001, "review"), (3, "pass"), (None, "pass")])
def test_a_rule_may_look_at_the_request(amount: int | None, label: str) -> None:
    chosen = {"$if": ["/amount", ">", 1000], "$then": "review", "$else": "pass"}
    stage = falling({"rule": {"body": {"label": chosen, "model": {"$get": "/model"}}}})
    client = stage.client()
    client.ask(chat(amount=amount))
    stage.no_server()
    assert client.answer().json == {"label": label, "model": "chat"}
    assert client.answer().fields["x-gateway-fallback"] == "rule"
