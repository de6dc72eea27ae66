"""Any bytes as a head: what we take, h11 takes and understands too (`heads`: the definition).

A head goes with `Host` and framing as it may; the body is of no interest here. Where
we are stricter than h11 is the corpus' business (tests/wire); being laxer is a finding.
"""

from typing import Any

import h11

from gateway._fast.head import end_of_head, request, response
from tests.fuzz.loop import run
from tests.wire import corpus

FIELDS = 100
SEEDS = [
    kind + case.data[: end_of_head(case.data)]
    for kind, cases in ((b"q", corpus.requests()), (b"s", corpus.responses()))
    for case in cases
    if 0 < end_of_head(case.data) < 2000
]
GADGETS = [
    b"\r\n", b"\r", b"\n", b"\0", b"\t", b" ", b":", b",", b"\x0b", b"\x7f", b"\x80", b"#", b"?",
    b"Host: a\r\n", b"Content-Length: 3\r\n", b"Content-Length: 03\r\n", b"HTTP/1.1", b"HTTP/1.0",
    b"Transfer-Encoding: chunked\r\n", b"transfer-encoding:chunked \r\n", b"Connection: close\r\n",
    b"Connection: keep-alive, x\r\n", b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n",
    b"http://a/", b"/", b"*", b"[::1]", b"a:80", b"@", b"%41", b"\r\n X", b"_", b"X-A: 1\r\n",
]  # fmt: skip


def fuzz_one(data: bytes) -> None:
    if len(data) < 2:
        return
    end = end_of_head(data[1:])
    if end < 0:
        return
    whole = data[1 : 1 + end]
    if data[:1] == b"s":
        check_response(whole)
    else:
        check_request(whole)


def check_request(data: bytes) -> None:
    made = request(data, FIELDS)
    if isinstance(made, int):
        return
    event = first_event(h11.Connection(h11.SERVER, 1 << 20), data)
    assert isinstance(event, h11.Request), f"h11 takes it for {event}"
    assert event.method == made["method"]
    assert event.target.endswith(made["target"])
    check_fields(made, event)
    again = [b"%b %b HTTP/1.%d" % (made["method"], made["target"], made["minor"])]
    again += [b"%b: %b" % pair for pair in made["fields"]]
    assert request(b"\r\n".join(again) + b"\r\n\r\n", FIELDS) == made


def check_response(data: bytes) -> None:
    made = response(data, FIELDS)
    if isinstance(made, int) or made["status"] == 101:  # h11 wants a proposal for that
        return
    client = h11.Connection(h11.CLIENT, 1 << 20)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    client.send(h11.EndOfMessage())
    event = first_event(client, data)
    assert isinstance(event, h11.Response | h11.InformationalResponse), f"h11: {event}"
    assert event.status_code == made["status"]
    check_fields(made, event)


def first_event(connection: h11.Connection, data: bytes) -> Any:
    connection.receive_data(data)
    try:
        return connection.next_event()
    except h11.RemoteProtocolError as wrong:
        return wrong


def check_fields(made: dict[str, Any], event: Any) -> None:
    assert [plain(*pair) for pair in made["fields"]] == list(event.headers)
    lengths = [int(value) for name, value in event.headers if name == b"content-length"]
    codings = [value for name, value in event.headers if name == b"transfer-encoding"]
    assert made["content_length"] == (lengths[0] if lengths else -1)
    assert made["chunked"] == bool(codings)
    assert not (lengths and codings)


def plain(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A field as h11 tells it: the name in small letters, and a coding's as well."""
    name = name.lower()
    return name, value.lower() if name == b"transfer-encoding" else value


if __name__ == "__main__":
    run(fuzz_one, SEEDS, GADGETS)
