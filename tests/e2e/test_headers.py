"""Header hygiene: what goes upstream, what comes down, what the gateway makes itself."""

from __future__ import annotations

import re

import pytest

from tests.support.answers import Answer, plays
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend, MakeGateway
from tests.support.raw_client import Response
from tests.support.script import Received
from tests.support.settings import Settings, chat, openai_backend
from tests.support.settings import echo as echo_settings

Fields = list[tuple[str, str]]
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TRACE = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0[01]")
KEYS = ["authorization", "x-api-key", "api-key", "x-goog-api-key"]


@pytest.fixture
def backend(make_backend: MakeBackend) -> Backend:
    return make_backend("mini")


def ask(
    make_gateway: MakeGateway,
    settings: Settings,
    fields: Fields,
    environ: dict[str, str] | None = None,
) -> Response:
    with make_gateway(settings, environ=environ or {}).connect() as client:
        return client.post_json("/v1/chat/completions", {"model": "chat", "messages": []}, fields)


def got(backend: Backend) -> Received:
    return backend.received[-1]


@pytest.mark.parametrize("name", KEYS)
def test_clients_credentials_never_go_upstream(
    backend: Backend, make_gateway: MakeGateway, name: str
) -> None:
    ask(make_gateway, chat(backend), [(name, "Bearer sk-client-secret"), ("cookie", "sid=secret")])
    assert [value for _, value in got(backend).headers if "secret" in value] == []


def test_backends_own_key_replaces_the_clients(backend: Backend, make_gateway: MakeGateway) -> None:
    settings = chat(backend, each={"api_key": "${KEY}"})
    ask(make_gateway, settings, [("authorization", "Bearer sk-client")], {"KEY": "sk-ours"})
    assert got(backend).header("authorization") == "Bearer sk-ours"


def test_configured_headers_are_sent_with_every_request(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    settings = chat(backend, each={"headers": {"x-team": "risk", "openai-beta": "v2"}})
    ask(make_gateway, settings, [("x-team", "mine")])
    assert got(backend).values("x-team") == ["risk"]
    assert got(backend).values("openai-beta") == ["v2"]


def test_credentials_are_passed_on_where_that_is_configured(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    settings = chat(backend, each={"forward": ["authorization", "cookie"]})
    ask(make_gateway, settings, [("authorization", "Bearer sk-client"), ("cookie", "sid=1")])
    assert got(backend).header("authorization") == "Bearer sk-client"
    assert got(backend).header("cookie") == "sid=1"


def test_hop_by_hop_fields_stay_on_their_hop(backend: Backend, make_gateway: MakeGateway) -> None:
    hops = ["keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer"]
    ask(make_gateway, chat(backend), [(name, "x") for name in hops])
    names = {name.lower() for name, _ in got(backend).headers}
    assert names & {*hops, "connection", "transfer-encoding", "upgrade"} == set()


def test_host_is_the_backends(backend: Backend, make_gateway: MakeGateway) -> None:
    ask(make_gateway, chat(backend), [])
    assert got(backend).values("host") == [f"127.0.0.1:{backend.port}"]


def test_other_fields_go_on_in_order_with_their_bytes(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    mine = [("X-A", "1"), ("x-b", "caf\xe9"), ("X-A", "2"), ("openai-organization", "org-1")]
    ask(make_gateway, chat(backend), mine)
    names = {name.lower() for name, _ in mine}
    kept = [(name, value) for name, value in got(backend).headers if name.lower() in names]
    assert kept == [pair for pair in mine if pair in kept]
    assert [pair for pair in mine[:3] if pair in kept] == mine[:3]


def test_gateways_own_request_fields_do_not_go_upstream(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    settings = chat(backend, overrides=["timeout", "priority"])
    ask(make_gateway, settings, [("x-gateway-timeout", "5s"), ("x-gateway-priority", "1")])
    assert [name for name, _ in got(backend).headers if name.lower().startswith("x-gateway")] == []


def test_length_is_that_of_the_body_that_was_sent(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    """The model's name was rewritten, so the length is another one than the client's."""
    ask(make_gateway, chat(backend, each={"model": "a-much-longer-name-than-chat"}), [])
    assert b"a-much-longer-name-than-chat" in got(backend).body
    assert got(backend).header("content-length") == str(len(got(backend).body))


# Ids and traces.


def test_request_id_is_made_and_told_to_both_sides(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    answer = ask(make_gateway, chat(backend), [])
    made = answer.header("x-request-id")
    assert made is not None
    assert UUID.fullmatch(made)
    assert got(backend).header("x-request-id") == made


def test_request_id_of_the_client_is_kept(backend: Backend, make_gateway: MakeGateway) -> None:
    answer = ask(make_gateway, chat(backend), [("x-request-id", "Abc-1.2_3")])
    assert answer.header("x-request-id") == "Abc-1.2_3"
    assert got(backend).header("x-request-id") == "Abc-1.2_3"


@pytest.mark.parametrize("bad", ["a b", "a" * 65, "a;b", "<script>", "caf\xe9", ""])
def test_request_id_that_is_not_plain_is_replaced(
    backend: Backend, make_gateway: MakeGateway, bad: str
) -> None:
    answer = ask(make_gateway, chat(backend), [("x-request-id", bad)])
    assert UUID.fullmatch(answer.header("x-request-id") or "")
    assert got(backend).header("x-request-id") == answer.header("x-request-id")


def test_request_ids_differ(backend: Backend, make_gateway: MakeGateway) -> None:
    gateway = make_gateway(chat(backend))
    with gateway.connect() as client:
        body = {"model": "chat", "messages": []}
        ids = {
            client.post_json("/v1/chat/completions", body).header("x-request-id") for _ in range(50)
        }
    assert len(ids) == 50


def test_backends_own_request_id_is_told_beside_ours(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    theirs = (("content-type", "application/json"), ("x-request-id", "req_theirs"))
    backend = make_backend("mini", plays(lambda _: Answer(200, theirs, b"{}")))
    answer = ask(make_gateway, chat(backend), [])
    assert UUID.fullmatch(answer.header("x-request-id") or "")
    assert answer.header("x-upstream-request-id") == "req_theirs"


def test_trace_is_begun_where_there_is_none(backend: Backend, make_gateway: MakeGateway) -> None:
    ask(make_gateway, chat(backend), [])
    assert TRACE.fullmatch(got(backend).header("traceparent") or "")


def test_trace_of_the_client_is_continued(backend: Backend, make_gateway: MakeGateway) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ask(make_gateway, chat(backend), [("traceparent", parent), ("tracestate", "a=1")])
    match = TRACE.fullmatch(got(backend).header("traceparent") or "")
    assert match is not None
    assert match[1] == "0af7651916cd43dd8448eb211c80319c"
    assert got(backend).header("tracestate") == "a=1"


@pytest.mark.parametrize("bad", ["", "00-0-0-01", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "x"])
def test_trace_that_is_malformed_is_begun_anew(
    backend: Backend, make_gateway: MakeGateway, bad: str
) -> None:
    ask(make_gateway, chat(backend), [("traceparent", bad)])
    assert TRACE.fullmatch(got(backend).header("traceparent") or "")


# Forwarded.

CLAIMS: Fields = [
    ("x-forwarded-for", "10.9.9.9"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "evil.test"),
    ("x-real-ip", "10.9.9.9"),
    ("forwarded", "for=10.9.9.9"),
]


def test_callers_claims_about_themselves_are_dropped(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    ask(make_gateway, chat(backend), CLAIMS)
    assert [v for _, v in got(backend).headers if "10.9.9.9" in v or "evil" in v] == []


def test_caller_is_told_in_x_forwarded_fields(backend: Backend, make_gateway: MakeGateway) -> None:
    ask(make_gateway, chat(backend, forwarded={"x_forwarded": True}), CLAIMS)
    assert got(backend).values("x-forwarded-for") == ["127.0.0.1"]
    assert got(backend).values("x-forwarded-proto") == ["http"]
    assert got(backend).values("x-forwarded-host") == ["gateway.test"]
    assert got(backend).values("forwarded") == []


def test_caller_is_told_in_the_forwarded_field(backend: Backend, make_gateway: MakeGateway) -> None:
    ask(make_gateway, chat(backend, forwarded={"x_forwarded": False, "forwarded": True}), CLAIMS)
    [value] = got(backend).values("forwarded")
    parts = {part.strip().replace('"', "").lower() for part in value.split(";")}
    assert {"for=127.0.0.1", "proto=http", "host=gateway.test"} <= parts
    assert got(backend).values("x-forwarded-for") == []


def test_trusted_callers_claims_are_extended(backend: Backend, make_gateway: MakeGateway) -> None:
    forwarded = {"x_forwarded": True, "trusted": ["127.0.0.0/8"]}
    ask(make_gateway, chat(backend, forwarded=forwarded), CLAIMS)
    chain = ", ".join(got(backend).values("x-forwarded-for"))
    assert chain.replace(" ", "") == "10.9.9.9,127.0.0.1"


# Downstream.


def test_answer_says_who_answered_and_how_long_it_took(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    answer = ask(make_gateway, chat(backend), [])
    assert answer.header("x-gateway-backend") == "mini"
    assert answer.header("x-gateway-attempts") == "1"
    timing = answer.header("server-timing") or ""
    assert re.findall(r"(\w+);dur=[0-9.]+", timing) == ["queue", "upstream", "gateway"]


def test_cost_is_told_where_it_is_known_at_the_head(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    price = {"input": 2.0, "output": 4.0}  # USD per million: 9 and 5 tokens are 38 millionths
    answer = ask(make_gateway, chat(backend, each={"price": price}), [])
    assert float(answer.header("x-gateway-cost-usd") or 0) == pytest.approx(38e-6)


def test_backend_cannot_speak_in_the_gateways_name(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    lies = (
        ("content-type", "application/json"),
        ("x-gateway-backend", "evil"),
        ("x-gateway-cost-usd", "0"),
        ("server", "evil/1"),
        ("set-cookie", "sid=evil"),
        ("strict-transport-security", "max-age=1"),
        ("access-control-allow-origin", "*"),
    )
    backend = make_backend("mini", plays(lambda _: Answer(200, lies, b"{}")))
    answer = ask(make_gateway, chat(backend), [])
    assert answer.header("x-gateway-backend") == "mini"
    assert [value for _, value in answer.headers if "evil" in value] == []
    assert answer.header("access-control-allow-origin") is None


def test_limits_of_the_provider_are_told(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    theirs = (
        ("content-type", "application/json"),
        ("x-ratelimit-remaining-requests", "59"),
        ("openai-processing-ms", "12"),
        ("retry-after", "3"),
    )
    backend = make_backend("mini", plays(lambda _: Answer(400, theirs, b'{"error": {}}')))
    answer = ask(make_gateway, chat(backend), [])
    assert answer.header("x-ratelimit-remaining-requests") == "59"
    assert answer.header("openai-processing-ms") == "12"


def test_server_header_is_only_told_where_configured(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    assert ask(make_gateway, chat(backend), []).header("server") is None
    settings = chat(backend, server_header="models")
    assert ask(make_gateway, settings, []).header("server") == "models"


def test_each_field_of_an_answer_comes_once(backend: Backend, make_gateway: MakeGateway) -> None:
    for stream in (False, True):
        with make_gateway(chat(backend)).connect() as client:
            body: dict[str, object] = {"model": "chat", "messages": [], "stream": stream}
            answer = client.post_json("/v1/chat/completions", body)
        names = [name.lower() for name, _ in answer.headers]
        assert len(names) == len(set(names)), names


def test_streams_are_marked_against_buffering_proxies(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    with make_gateway(chat(backend)).connect() as client:
        body = {"model": "chat", "messages": [], "stream": True}
        answer = client.post_json("/v1/chat/completions", body)
    assert answer.header("x-accel-buffering") == "no"
    assert answer.header("cache-control") == "no-cache"
    assert (answer.header("content-type") or "").startswith("text/event-stream")


def test_two_gateways_do_not_share_pools_or_ids(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    for settings in (
        chat(backend),
        {**chat(backend), "backends": {"mini": openai_backend(backend)}},
    ):
        ask(make_gateway, settings, [])
    assert len({one.header("x-request-id") for one in backend.received}) == 2
    assert len({one.connection for one in backend.received}) == 2


def test_accept_encoding_is_not_passed_on_unless_compression_is_wanted(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    """Usage is read from the body, which must be readable."""
    backend = make_backend("echo", plays(lambda _: Answer(200, (), b"")))
    fields = [("accept-encoding", "gzip")]
    for wanted, expected in ((False, []), (True, ["gzip"])):
        gateway = make_gateway(echo_settings(backend, each={"compression": wanted}))
        with gateway.connect() as client:
            client.request("GET", "/echo", headers=fields)
        values = got(backend).values("accept-encoding")
        assert [value for value in values if value != "identity"] == expected
