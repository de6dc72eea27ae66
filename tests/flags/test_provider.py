"""The provider for Python, by OpenFeature's own SDK, against a real data port."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode, GeneralError, ProviderNotReadyError
from openfeature.flag_evaluation import Reason

from gateway.flags.provider import GatewayProvider
from tests.flags.declared import AUDIENCES, FLAGS
from tests.support.gateway import GatewayThread
from tests.support.settings import Settings
from tests.support.waiting import until

POLL_S = 0.05
SETTINGS: Settings = {
    "workers": 1,
    "log": {"enabled": False},
    "backends": {"a": {"protocol": "openai", "url": "http://127.0.0.1:9/v1"}},
    "routes": {"chat": {"backends": ["a"]}},
    "flags": FLAGS,
    "audiences": AUDIENCES,
}
ANN, BOB = EvaluationContext("ann"), EvaluationContext("bob", {"plan": "pro"})


def changed(**flags: Any) -> Settings:
    return SETTINGS | {"flags": FLAGS | flags}


@pytest.fixture
def gateway() -> Iterator[GatewayThread]:
    with GatewayThread(SETTINGS) as gateway:
        yield gateway


@pytest.fixture
def use() -> Iterator[Callable[..., OpenFeatureClient]]:
    """A client of a provider with these settings."""

    def make(url: str, **more: Any) -> OpenFeatureClient:
        api.set_provider_and_wait(GatewayProvider(url, **{"poll_s": POLL_S, **more}))
        return api.get_client()

    yield make
    api.clear_providers()


class Heard:
    """Events of the provider, as they come."""

    def __init__(self, *events: ProviderEvent) -> None:
        self.events: list[tuple[str, EventDetails]] = []
        for event in events:
            api.add_handler(event, self._hear(event.name))

    def _hear(self, name: str) -> Callable[[EventDetails], None]:
        return lambda details: self.events.append((name, details))

    @property
    def names(self) -> list[str]:
        return [name for name, _details in self.events]


def test_each_kind_is_resolved(
    gateway: GatewayThread, use: Callable[..., OpenFeatureClient]
) -> None:
    client = use(gateway.base_url)
    assert client.get_boolean_value("plain", False) is True
    assert client.get_string_value("prompt", "-", ANN) == "Be brief."
    assert client.get_integer_value("limit", 0, ANN) in {3, 30}
    assert client.get_float_value("limit", 0.0, ANN) in {3.0, 30.0}
    assert client.get_object_value("shape", {"k": 1}) == {}


def test_reason_and_variant_are_the_gateway_s(
    gateway: GatewayThread, use: Callable[..., OpenFeatureClient]
) -> None:
    client = use(gateway.base_url)
    told = client.get_string_details("prompt", "-", ANN)
    assert (told.variant, told.reason, told.error_code) == ("short", Reason.TARGETING_MATCH, None)
    assert client.get_string_details("prompt", "-", BOB).reason == Reason.SPLIT
    assert client.get_string_details("prompt", "-").reason == Reason.DEFAULT


def test_flag_that_is_off_leaves_the_application_its_default(
    gateway: GatewayThread, use: Callable[..., OpenFeatureClient]
) -> None:
    told = use(gateway.base_url).get_boolean_details("asleep", False)
    assert (told.value, told.reason, told.error_code) == (False, Reason.DISABLED, None)


@pytest.mark.parametrize(
    "ask, code",
    [
        (lambda client: client.get_boolean_details("nothing", True), ErrorCode.FLAG_NOT_FOUND),
        (lambda client: client.get_boolean_details("prompt", True), ErrorCode.TYPE_MISMATCH),
        (lambda client: client.get_string_details("plain", "x"), ErrorCode.TYPE_MISMATCH),
        (lambda client: client.get_integer_details("plain", 1), ErrorCode.TYPE_MISMATCH),
        (lambda client: client.get_float_details("plain", 1.0), ErrorCode.TYPE_MISMATCH),
        (lambda client: client.get_object_details("plain", {}), ErrorCode.TYPE_MISMATCH),
        (lambda client: client.get_integer_details("limit", 1), ErrorCode.TARGETING_KEY_MISSING),
    ],
)
def test_errors_have_openfeature_s_codes(
    gateway: GatewayThread,
    use: Callable[..., OpenFeatureClient],
    ask: Callable[[OpenFeatureClient], Any],
    code: ErrorCode,
) -> None:
    told = ask(use(gateway.base_url))
    assert (told.reason, told.error_code) == (Reason.ERROR, code)


async def test_loops_may_ask(gateway: GatewayThread, use: Callable[..., OpenFeatureClient]) -> None:
    client = use(gateway.base_url)
    assert await client.get_boolean_value_async("plain", False) is True
    assert await client.get_string_value_async("prompt", "-", ANN) == "Be brief."
    assert await client.get_integer_value_async("limit", 0, ANN) in {3, 30}
    assert await client.get_float_value_async("limit", 0.0, ANN) in {3.0, 30.0}
    assert await client.get_object_value_async("shape", {"k": 1}) == {}


def test_change_is_told_and_seen(
    gateway: GatewayThread, use: Callable[..., OpenFeatureClient]
) -> None:
    client = use(gateway.base_url)
    heard = Heard(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
    assert client.get_string_value("prompt", "-", ANN) == "Be brief."
    plain = FLAGS["plain"] | {"default": "off"}
    gateway.apply(changed(plain=plain, prompt=FLAGS["prompt"] | {"enabled": False}))
    until(lambda: bool(heard.events), 2.0)
    assert heard.events[0][1].flags_changed == ["plain", "prompt"]
    assert client.get_boolean_value("plain", True) is False
    until(lambda: client.get_string_value("prompt", "-", ANN) == "-", 2.0)


class Counting:
    """What answers OFREP, counts calls and can go away."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []  # body, tag
        self.flags = [{"key": "f", "value": True, "reason": "STATIC", "variant": "on"}]
        self.status = 200
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/base"
        self._ended = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended:
            connection, _ = self._socket.accept()
            with connection:
                if not self._ended:
                    connection.sendall(self._answer(connection))

    def _answer(self, connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece or data[:1] == b"\x16":  # a handshake of TLS
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        fields = {name.lower(): value for name, value in lines.items()}
        while len(body) < int(fields["content-length"]):
            body += connection.recv(65536)
        assert head.startswith(b"POST /base/ofrep/v1/evaluate/flags HTTP/1.1")
        tag = fields.get("if-none-match", "")
        self.asked.append((body.decode(), tag))
        told = json.dumps({"flags": self.flags}).encode()
        status, sent = (304, b"") if tag == '"t"' and self.status == 200 else (self.status, told)
        length = f"content-length: {len(sent)}\r\n" if status != 304 else ""
        return f'HTTP/1.1 {status} x\r\netag: "t"\r\n{length}\r\n'.encode() + sent

    def end(self) -> None:
        self._ended = True
        with socket.create_connection(self._socket.getsockname()):
            pass
        self._thread.join()
        self._socket.close()


@pytest.fixture
def counting() -> Iterator[Counting]:
    counting = Counting()
    yield counting
    counting.end()


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_evaluations_cost_no_call_until_it_is_time(
    counting: Counting, use: Callable[..., OpenFeatureClient]
) -> None:
    clock = Clock()
    client = use(counting.url, poll_s=30.0, clock=clock)
    for _ in range(5):
        assert client.get_boolean_value("f", False, ANN) is True
    ann = '{"context":{"targetingKey":"ann"}}'
    assert counting.asked == [('{"context":{}}', ""), (ann, "")]
    clock.now_s += 30.0
    assert client.get_boolean_value("f", False, ANN) is True
    assert counting.asked[2:] == [(ann, '"t"')]


def test_contexts_that_were_not_used_for_long_make_room(
    counting: Counting, use: Callable[..., OpenFeatureClient]
) -> None:
    client = use(counting.url, poll_s=30.0, contexts=2)
    for name in ("a", "b", "a", "c", "a", "b"):
        client.get_boolean_value("f", False, EvaluationContext(name))
    asked = [json.loads(body)["context"].get("targetingKey") for body, _tag in counting.asked]
    assert asked == [None, "a", "b", "c", "b"]


def test_gateway_that_is_away_leaves_what_is_known(
    counting: Counting, use: Callable[..., OpenFeatureClient]
) -> None:
    client = use(counting.url)
    heard = Heard(ProviderEvent.PROVIDER_STALE)
    assert client.get_boolean_value("f", False, ANN) is True
    counting.status = 503
    until(lambda: heard.names == ["PROVIDER_STALE"], 2.0)
    until(lambda: client.get_boolean_details("f", False, ANN).reason == Reason.STALE, 2.0)
    assert client.get_boolean_value("f", False, ANN) is True
    told = client.get_boolean_details("f", False, BOB)
    assert (told.value, told.error_code) == (False, ErrorCode.GENERAL)
    again = Heard(ProviderEvent.PROVIDER_READY)
    counting.status = 200
    until(lambda: "PROVIDER_READY" in again.names, 2.0)
    until(lambda: client.get_boolean_details("f", False, ANN).reason == Reason.STATIC, 2.0)


def test_gateway_that_comes_later_is_found(counting: Counting) -> None:
    counting.status = 503
    api.set_provider(GatewayProvider(counting.url, poll_s=POLL_S))
    try:
        client = api.get_client()
        assert client.get_boolean_value("f", False) is False
        counting.status = 200
        until(lambda: client.get_boolean_value("f", False) is True, 2.0)
    finally:
        api.clear_providers()


@pytest.mark.parametrize("flags", [None, [3], [{}]])
def test_answers_that_are_no_gateway_s_are_an_error(
    counting: Counting, use: Callable[..., OpenFeatureClient], flags: Any
) -> None:
    client = use(counting.url, poll_s=30.0)
    counting.flags = flags
    told = client.get_boolean_details("f", False, ANN)
    assert (told.error_code, told.error_message) == (
        ErrorCode.GENERAL,
        "what answers is no gateway",
    )


def test_unknown_error_code_is_a_general_one(
    counting: Counting, use: Callable[..., OpenFeatureClient]
) -> None:
    counting.flags = [{"key": "f", "errorCode": "NEW_ONE", "errorDetails": "so"}]
    told = use(counting.url).get_boolean_details("f", False)
    assert (told.error_code, told.error_message) == (ErrorCode.GENERAL, "so")


def test_nobody_at_the_address_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    provider = GatewayProvider(url, poll_s=30.0)
    with pytest.raises(ProviderNotReadyError) as caught:
        provider.initialize(EvaluationContext())
    assert caught.value.error_message == "no gateway answers (ConnectionRefusedError)"
    provider.shutdown()
    provider.shutdown()


def test_server_without_tls_is_no_gateway_at_https(counting: Counting) -> None:
    with pytest.raises(GeneralError):
        GatewayProvider(counting.url.replace("http:", "https:"), timeout_s=0.2)._flag("f", None)


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://host", "http://"])
def test_url_is_checked_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="expected the gateway's URL"):
        GatewayProvider(url)


def test_it_imports_nothing_else_of_the_gateway() -> None:
    """So that an application needs neither compiler nor configuration."""
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    named = "(name for name in sys.modules if name.split('.')[0] == 'gateway')"
    code = f"import sys, gateway.flags.provider; print(*{named})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == ["gateway", "gateway.flags", "gateway.flags.provider"]
