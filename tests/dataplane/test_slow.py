"""What few requests need: paths, refusals, callers of other origins, overrides, addresses."""

from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from gateway._fast import Route, Table
from gateway.compiler import compile_plan
from gateway.dataplane.slow import SlowPaths
from gateway.errors import OUTCOMES
from gateway.plan import CAPABILITIES, POLICIES, Plan
from tests.config.texts import document

NUMBER = {outcome.name: number for number, outcome in enumerate(OUTCOMES)}
MS = 1_000_000
TOOLS, VISION = CAPABILITIES["tools"], CAPABILITIES["vision"]


def plan_of(changes: dict[str, Any] | None = None, /, **top: Any) -> Plan:
    return compile_plan(document(changes, **top))


def slow(changes: dict[str, Any] | None = None, /, **top: Any) -> SlowPaths:
    return SlowPaths(plan_of(changes, **top))


def route_of(plan: Plan, name: str = "chat") -> Route:
    """What the slow paths look at of a compiled route."""
    entry = next(route for route in plan.routes if route.name == name)
    return cast("Route", SimpleNamespace(plan=entry, protocol=entry.protocol, name=name))


# -- refusals


@pytest.mark.parametrize(
    "protocol,model,sentence",
    [
        ("openai", "nope", "The model `nope` does not exist."),
        ("kserve", "nope", "The model `nope` does not exist."),
        (
            "openai",
            "fraud",
            "The model `fraud` is served by the protocol http, not by openai.",
        ),
        ("http", "chat", "The model `chat` is served by the protocol openai, not by http."),
        ("openai", "", "There is no model of this name."),
    ],
)
def test_model_that_is_not_found_is_told_from_one_of_another_protocol(
    protocol: str, model: str, sentence: str
) -> None:
    status, content_type, body = slow().refusal(protocol, NUMBER["no_route"], model)
    assert (status, content_type) == (404, b"application/json")
    error = orjson.loads(body)["error"]
    assert (error["message"] if protocol == "openai" else error) == sentence


def test_default_route_of_another_protocol_is_named() -> None:
    _status, _type, body = slow(default_route="fraud").refusal("openai", NUMBER["no_route"], "")
    assert "`fraud` is served by the protocol http" in orjson.loads(body)["error"]["message"]


@pytest.mark.parametrize("outcome", range(1, len(OUTCOMES)))
def test_every_outcome_is_a_refusal_in_the_clients_shape(outcome: int) -> None:
    for protocol in (None, "openai", "kserve", "http"):
        status, content_type, body = slow().refusal(protocol, outcome, "chat")
        assert 400 <= status < 600
        assert content_type == b"application/json"
        assert orjson.loads(body)["error"]


def test_nothing_left_to_say_is_said_as_such() -> None:
    status, _type, body = slow().refusal("openai", "unavailable", "")
    assert status == 503
    assert orjson.loads(body)["error"]["code"] == "no_prediction_available"


# -- paths of a route's own


def table_of(plan: Plan) -> Table:
    routes = [route_of(plan, route.name) for route in plan.routes]
    return cast(
        "Table",
        SimpleNamespace(
            routes_by_index=routes, routes={route.name.encode(): route for route in routes}
        ),
    )


@pytest.mark.parametrize(
    "pattern,path,is_found",
    [
        ("/score", b"/score", True),
        ("/score", b"/score/2", False),
        ("/any/*", b"/any/thing/at/all", True),
        ("/any/*", b"/anything", False),
        ("/run/{model}/now", b"/run/x/now", True),
        ("/run/{model}/now", b"/run/x/y/now", False),
        ("/run/{model}/now", b"/run//now", False),
    ],
)
def test_path_of_a_match_is_exact_a_beginning_or_holds_one_segment(
    pattern: str, path: bytes, is_found: bool
) -> None:
    plan = plan_of({"routes.fraud.match": [{"path": pattern, "methods": ["POST"]}]})
    found = SlowPaths(plan).resolve(table_of(plan), b"POST", path)
    assert (found is not None and found[1] is not None) is is_found
    other = SlowPaths(plan).resolve(table_of(plan), b"PUT", path)
    assert other is None


def test_match_of_a_route_that_is_not_http_keeps_its_operation() -> None:
    plan = plan_of({"routes.chat.match": [{"path": "/v1/chat/completions"}]})
    found = SlowPaths(plan).resolve(table_of(plan), b"POST", b"/v1/chat/completions")
    assert found is not None
    operation, route, model = found
    assert (operation.name, route.name if route else "", model) == ("chat", "chat", None)


def test_model_in_a_path_is_decoded() -> None:
    plan = plan_of()
    found = SlowPaths(plan).resolve(table_of(plan), b"POST", b"/v1/models/fr%61ud:predict")
    assert found is not None
    assert found[1] is not None
    assert (found[1].name, found[2]) == ("fraud", b"fraud")


# -- other origins


def test_origin_that_is_not_listed_is_told_nothing() -> None:
    paths = slow(cors={"origins": ["https://app.test"]})
    fields = paths.cors(b"https://app.test")
    assert fields is not None
    assert b"access-control-allow-origin: https://app.test\r\n" in fields
    assert b"vary: origin\r\n" in fields
    assert paths.cors(b"https://evil.test") is None
    assert slow().cors(b"https://app.test") is None


def test_any_origin_is_answered_with_a_star() -> None:
    fields = slow(cors={"origins": ["*"]}).cors(b"https://any.test")
    assert fields is not None
    assert fields.startswith(b"access-control-allow-origin: *\r\n")


# -- overrides


@pytest.mark.parametrize(
    "name,value,meaning",
    [
        (b"x-gateway-policy", b"fastest", POLICIES.index("fastest")),
        (b"x-gateway-policy", b"best", None),
        (b"x-gateway-backend", b"two", 1),
        (b"x-gateway-backend", b"score", None),
        (b"x-gateway-backend", b"nobody", None),
        (b"x-gateway-timeout", b"250", 250 * MS),
        (b"x-gateway-timeout", b" 2s ", 2000 * MS),
        (b"x-gateway-timeout", b"99h", 300_000 * MS),
        (b"x-gateway-timeout", b"0", None),
        (b"x-gateway-timeout", b"-1s", None),
        (b"x-gateway-timeout", b"soon", None),
        (b"x-gateway-timeout", b"\xb2", None),
        (b"x-gateway-priority", b"7", 7),
        (b"x-gateway-priority", b"8", None),
        (b"x-gateway-priority", b"-1", None),
        (b"x-gateway-capabilities", b"tools, vision", TOOLS | VISION),
        (b"x-gateway-capabilities", b"tools,telepathy", None),
        (b"x-gateway-anything", b"1", None),
    ],
)
def test_override_is_a_number_or_has_no_meaning(
    name: bytes, value: bytes, meaning: int | None
) -> None:
    plan = plan_of({"routes.chat.timeout": {"total": "300s"}})
    assert SlowPaths(plan).override(route_of(plan), name, value) == meaning


# -- what is passed on only where it is wanted

HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer mine\r\n"
    b"Cookie: a=b\r\nAccept-Encoding: br\r\nX-Forwarded-For: 198.51.100.1\r\n"
    b"X-Forwarded-Proto: https\r\nForwarded: for=198.51.100.1\r\n\r\n"
)


def client_fields(changes: dict[str, Any], address: str = "192.0.2.7", **top: Any) -> list[bytes]:
    plan = plan_of(changes, **top)
    block = SlowPaths(plan).client_fields(plan.backends[0], HEAD, address)
    assert not block or block.endswith(b"\r\n")
    return block.split(b"\r\n")[:-1]


def test_credentials_go_only_to_backends_that_are_to_have_them() -> None:
    assert client_fields({}) == []
    assert client_fields({"backends.one.forward": ["authorization"]}) == [
        b"authorization: Bearer mine"
    ]


def test_encodings_are_passed_on_where_compression_is_wanted() -> None:
    assert client_fields({"backends.one.compression": True}) == [b"accept-encoding: br"]


def test_address_of_the_caller_is_told_and_what_strangers_say_of_others_is_not() -> None:
    assert client_fields({}, forwarded={"x_forwarded": True, "forwarded": True}) == [
        b"x-forwarded-for: 192.0.2.7",
        b"x-forwarded-proto: http",
        b"x-forwarded-host: gw.test",
        b'forwarded: for=192.0.2.7;proto=http;host="gw.test"',
    ]


def test_trusted_proxy_is_believed_and_added_to() -> None:
    forwarded = {"x_forwarded": True, "forwarded": True, "trusted": ["192.0.2.0/24"]}
    assert client_fields({}, forwarded=forwarded) == [
        b"x-forwarded-for: 198.51.100.1, 192.0.2.7",
        b"x-forwarded-proto: https",
        b"x-forwarded-host: gw.test",
        b'forwarded: for=198.51.100.1, for=192.0.2.7;proto=http;host="gw.test"',
    ]


@pytest.mark.parametrize(
    "address,node", [("::1", b'for="[::1]"'), ("fe80::1%eth0", b'for="[fe80::1%eth0]"')]
)
def test_address_of_version_6_is_quoted(address: str, node: bytes) -> None:
    (line,) = client_fields({}, address, forwarded={"forwarded": True})
    assert line.startswith(b"forwarded: " + node)


def test_caller_without_an_address_is_not_made_up() -> None:
    assert client_fields({}, "", forwarded={"x_forwarded": True}) == []


def test_fields_are_left_out_by_name_whatever_their_case() -> None:
    block = b"A: 1\r\nbee: 2\r\nBEE: 3\r\nc: 4\r\n"
    assert slow().without(block, frozenset({b"bee"})) == b"A: 1\r\nc: 4\r\n"
    assert slow().without(b"", frozenset({b"bee"})) == b""
