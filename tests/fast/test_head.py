"""Heads against their definition, against h11 and llhttp, and name by name."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import _fast
from gateway._fast import head
from gateway.errors import OUTCOMES
from tests.reference import head as reference
from tests.support.strategies import mutated, requests

LINES = [
    b"host: a:80", b"Host:[::1]", b"host: [1::2::3]", b"host: a%2F:", b"host: a%2", b"host:",
    b"content-length: 5", b"Content-Length:+5", b"transfer-encoding: chunked",
    b"transfer-encoding: gzip, chunked", b"connection: close", b"connection: keep-alive, Upgrade",
    b"connection: x-a, host", b"connection: ,,a_b", b"upgrade: websocket", b"expect: 100-continue",
    b"expect: x", b"x-a: 1", b"x-\xe4: 1", b"x-a : 1", b" fold", b"x: \x00", b"x:\x7f",
]  # fmt: skip
TARGETS = [
    b"/", b"*", b"/a/../b", b"/%2e", b"/a?b=../", b"http://a:80/x", b"HTTP://A/..", b"a:443",
    b"/a#b", b"/..a/.b/c.", b"/a/%2E%2e/", b"/\x80", b"http://a:80", b"//x", b"/a/.",
]  # fmt: skip


def head_of(data: bytes) -> bytes:
    found = data.find(b"\r\n\r\n")
    return data if found < 0 else data[: found + 4]


@st.composite
def collages(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from([b"GET", b"OPTIONS", b"CONNECT", b"get", b"G(T"]))
    version = draw(st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2"]))
    line = b" ".join([method, draw(st.sampled_from(TARGETS)), version])
    return b"\r\n".join([line, *draw(st.lists(st.sampled_from(LINES), max_size=5)), b"", b""])


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    statuses = [b"200 OK", b"200", b"200 ", b"404 Not \xe4", b"099 x", b"600 x", b"20 x", b"2000 x"]
    line = draw(st.sampled_from([b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/1.2 ", b"http/1.1 "]))
    line += draw(st.sampled_from(statuses))
    return b"\r\n".join([line, *draw(st.lists(st.sampled_from(LINES), max_size=5)), b"", b""])


good = requests().map(lambda made: head_of(made.data))
any_request = good | mutated(good) | collages() | mutated(collages())


@settings(max_examples=500)
@given(any_request)
def test_a_request_is_read_as_the_definition_says(data: bytes) -> None:
    found = head.request(data)
    assert (None if isinstance(found, int) else found) == reference.request(data)


@settings(max_examples=300)
@given(responses() | mutated(responses()))
def test_a_response_is_read_as_the_definition_says(data: bytes) -> None:
    found = head.response(data)
    assert (None if isinstance(found, int) else found) == reference.response(data)


@given(requests())
def test_a_valid_request_is_taken_and_means_what_it_says(made: Any) -> None:
    found = head.request(head_of(made.data))
    if "_" in made.target or re.search(r"/(\.|%2[eE]){1,2}(/|\?|$)", made.target):
        return
    assert isinstance(found, dict)
    assert (found["method"], found["target"]) == (made.method.encode(), made.target.encode())
    meant = [(name.encode(), value.encode()) for name, value in made.fields]
    framing = (b"host", b"content-length", b"transfer-encoding")
    seen = [(name.lower(), value) for name, value in found["fields"]]
    assert [pair for pair in seen if pair[0] not in framing] == meant


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"GET /"]), max_size=12))
def test_the_end_is_the_first_empty_line_however_the_search_was_cut(parts: list[bytes]) -> None:
    data = b"".join(parts)
    found = re.search(rb"\n\r?\n", data)
    end = found.end() if found else -1
    assert head.end_of_head(data) == end
    for cut in range(len(data) + 1):
        begun = head.end_of_head(data[:cut])
        assert begun in (end, -1)
        if begun < 0:
            assert head.end_of_head(data, max(0, cut - 3)) == end


@pytest.mark.parametrize("count", [1, 100, 128])
def test_fields_are_counted(count: int) -> None:
    lines = ["GET / HTTP/1.1", "host: a", *(f"x{n}: {n}" for n in range(count - 1)), "", ""]
    data = "\r\n".join(lines).encode()
    assert isinstance(head.request(data, count), dict)
    assert refusal(data, count - 1) == "head_too_large"
    assert refusal(data.replace(b"x0", b"host"), 1000) == ("bad_request" if count > 1 else "")


def refusal(data: bytes, fields_limit: int = 100) -> str:
    found = head.request(data, fields_limit)
    return OUTCOMES[found].name if isinstance(found, int) else ""


def get(*lines: str, line: str = "GET / HTTP/1.1") -> bytes:
    return "\r\n".join([line, *lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    "data, outcome",
    [
        (get("host: a", line="GET / HTTP/2.0"), "version_unknown"),
        (get("host: a", line="GET / HTTP/1.2"), "version_unknown"),
        (get("host: a", line="GET / HTTP/0.9"), "version_unknown"),
        (get("host: a", line="GET / http/1.1"), "bad_request"),
        (get("host: a", line="GET /"), "bad_request"),
        (get("host: a", "expect: 200-ok"), "expectation_failed"),
        (get("host: a", "transfer-encoding: gzip"), "coding_unknown"),
        (get("host: a", "transfer-encoding: gzip, chunked"), "coding_unknown"),
        (get("host: a", "transfer-encoding: chunked, chunked"), "bad_request"),
        (get("host: a", "transfer-encoding: chunked, gzip"), "bad_request"),
        (get("host: a", "transfer-encoding: xchunked"), "coding_unknown"),
        (get("host: a", 'transfer-encoding: "chunked"'), "bad_request"),
        (get("host: a", "transfer-encoding:"), "bad_request"),
        (get("host: a", line="CONNECT a:443 HTTP/1.1"), ""),
        (get("host: a"), ""),
    ],
)
def test_a_refusal_says_why(data: bytes, outcome: str) -> None:
    assert refusal(data) == outcome


@pytest.mark.parametrize("before", [20, 300, 3000])
def test_a_connect_reads_nothing_but_its_own_bytes(before: int) -> None:
    """Its target has no path; what an earlier head left in memory is not one."""
    head.request(get("host: a", line=f"GET /{'a' * before} HTTP/1.1"))
    found = head.request(get("host: a", line="CONNECT a:443 HTTP/1.1"))
    assert isinstance(found, dict)
    assert found["path"] == found["target"] == b"a:443"


# Others' readers: where we are stricter than h11 (or llhttp), why, and an example of each.


@dataclass
class Seen:
    """A head as another reader read it."""

    data: bytes
    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]]

    def all(self, name: bytes) -> list[bytes]:
        return [value.strip().lower() for each, value in self.fields if each.lower() == name]

    def has(self, pattern: bytes) -> bool:
        return re.search(pattern, self.data) is not None


def has_no_host(seen: Seen) -> bool:
    hosts = seen.all(b"host")
    return len(hosts) != 1 or not reference.is_host(hosts[0])


def names_what_it_must_not(seen: Seen) -> bool:
    options = b",".join(seen.all(b"connection")).split(b",")
    return not all(reference.may_be_named(each.strip(b" \t")) for each in options if each.strip())


def has_no_target(seen: Seen) -> bool:
    form = reference.origin_form(seen.method, seen.target, seen.all(b"host"))
    return form is None or re.fullmatch(rb"[\x21\x22\x24-\x7e]+", seen.target) is None


STRICTER: dict[str, tuple[Callable[[Seen], bool], bytes]] = {
    "a host that is missing, repeated or none (RFC 9112 3.2)": (
        has_no_host,
        b"GET / HTTP/1.1\r\nhost: a/x?y\r\n\r\n",
    ),
    "a coding that is not exactly chunked (6.1, 6.3)": (
        lambda seen: (
            seen.all(b"transfer-encoding") not in ([], [b"chunked"])
            or (seen.all(b"transfer-encoding") != [] and seen.has(rb"\A[^\r]*HTTP/1\.0\r"))
            or (seen.all(b"transfer-encoding") != [] and seen.all(b"content-length") != [])
        ),
        b"GET / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
    ),
    "a length that is repeated or beyond an exabyte (6.3)": (
        lambda seen: (
            seen.has(rb"(?i)\ncontent-length:[^\n]*(?:,|[0-9]{19})")
            or len(seen.all(b"content-length")) > 1
            or seen.has(rb"(?is)\ncontent-length:.*\ncontent-length:")
        ),
        b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n",
    ),
    "an expectation other than 100-continue (RFC 9110 10.1.1)": (
        lambda seen: any(value != b"100-continue" for value in seen.all(b"expect")),
        b"GET / HTTP/1.1\r\nhost: a\r\nexpect: x\r\n\r\n",
    ),
    "a field that Connection must not name (RFC 9110 7.6.1)": (
        names_what_it_must_not,
        b"GET / HTTP/1.1\r\nhost: a\r\nconnection: host\r\n\r\n",
    ),
    "a target that climbs, has a fragment or no form (3.2)": (
        has_no_target,
        b"GET /a/../b HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    "a folded line (5.2)": (
        lambda seen: seen.has(rb"\n[ \t]+[^ \t]"),
        b"GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n\r\n",
    ),
    "a control character in a value (RFC 9110 5.5)": (
        lambda seen: seen.has(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"),
        b"GET / HTTP/1.1\r\nhost: a\r\nx: a\x10b\r\n\r\n",
    ),
    "more than one blank in the request line (3; llhttp alone)": (
        lambda seen: seen.has(rb"\A[^\r\n]*(?:  |\t)"),
        b"GET  / HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    "a bare LF (2.2)": (
        lambda seen: seen.has(rb"(?<!\r)\n"),
        b"GET / HTTP/1.1\nhost: a\n\n",
    ),
    "another version (2.3)": (
        lambda seen: not seen.has(rb"\A[^\r\n]* HTTP/1\.[01]\r?\n"),
        b"GET / HTTP/1.2\r\nhost: a\r\n\r\n",
    ),
}


def reasons(seen: Seen) -> list[str]:
    return [why for why, (holds, _) in STRICTER.items() if holds(seen)]


def seen_by_h11(data: bytes) -> Seen | None:
    found = by_h11(data)
    return Seen(data, found.method, found.target, list(found.headers)) if found else None


def seen_by_llhttp(data: bytes) -> Seen | None:
    found = by_llhttp(data)
    return Seen(data, found[1], found[0].url, found[0].fields) if found else None


@pytest.mark.parametrize("why", STRICTER)
def test_we_are_stricter_where_the_rfc_wants_or_allows_it(why: str) -> None:
    example = STRICTER[why][1]
    seen = seen_by_llhttp(example) if "llhttp" in why else seen_by_h11(example)
    assert seen is not None
    assert reasons(seen) == [why]
    assert isinstance(head.request(example), int)


def by_h11(data: bytes) -> h11.Request | None:
    connection = h11.Connection(h11.SERVER, 1 << 20)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Request) else None


class Collector:
    def __init__(self) -> None:
        self.url, self.fields = b"", list[tuple[bytes, bytes]]()
        self.is_begun = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.is_begun = True


def by_llhttp(data: bytes) -> tuple[Collector, bytes] | None:
    collector = Collector()
    parser = httptools.HttpRequestParser(collector)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        return None
    return (collector, parser.get_method()) if collector.is_begun else None


@settings(max_examples=500)
@given(any_request)
def test_we_read_as_h11_does_or_are_stricter_for_a_listed_reason(data: bytes) -> None:
    data = data[: max(0, head.end_of_head(data))]
    ours, theirs, seen = head.request(data), by_h11(data), seen_by_h11(data)
    if isinstance(ours, int):
        assert seen is None or reasons(seen)
        return
    assert theirs is not None, "h11 is never stricter"
    assert (ours["method"], ours["minor"]) == (theirs.method, int(theirs.http_version[2:]))
    assert theirs.target.endswith(ours["target"])
    fields = [(name.lower(), value) for name, value in ours["fields"]]
    assert [(n, v.lower()) for n, v in fields] == [(n, v.lower()) for n, v in theirs.headers]


@settings(max_examples=300)
@given(any_request)
def test_we_read_as_llhttp_does_or_are_stricter_for_a_listed_reason(data: bytes) -> None:
    data = data[: max(0, head.end_of_head(data))]
    ours, theirs = head.request(data), by_llhttp(data)
    if isinstance(ours, int):
        seen = seen_by_llhttp(data)
        assert seen is None or reasons(seen)
        return
    if theirs is None:
        assert ours["method"] in (b"get", b"CONNECT") or b"\\" in data or is_known_to_differ(data)
        return
    collector, method = theirs
    fields = [(name, value.rstrip(b" \t")) for name, value in collector.fields]
    assert (ours["method"], ours["fields"]) == (method, fields)
    assert collector.url.endswith(ours["target"])


def is_known_to_differ(data: bytes) -> bool:
    """Llhttp knows a list of methods, forms of target that are its own idea, and no tab
    behind a transfer coding, which is white space like any other (RFC 9110 5.6.3).
    """
    if re.search(rb"\ntransfer-encoding:[^\n]*chunked[ ]*\t", data, re.IGNORECASE):
        return True
    return not re.match(rb"(GET|POST|PUT|DELETE|PATCH|OPTIONS) (/|\*|https?://)", data)


# Names

PXD = (Path(_fast.__file__).parent / "head.pxd").read_text()
MEANING = {name: int(value) for name, value in re.findall(r"FIELD_(\w+) = (\d+)\b", PXD)}
NAMES = {
    "HOST": "host",
    "CONTENT_LENGTH": "content-length",
    "TRANSFER_ENCODING": "transfer-encoding",
    "CONNECTION": "connection",
    "EXPECT": "expect",
    "UPGRADE": "upgrade",
    "HOP": "keep-alive proxy-connection proxy-authorization proxy-x te trailer x-accel-buffering",
    "CREDENTIAL": "authorization x-api-key api-key x-goog-api-key",
    "COOKIE": "cookie",
    "FORWARDED": "forwarded",
    "X_FORWARDED_FOR": "x-forwarded-for",
    "X_FORWARDED": "x-forwarded-proto x-forwarded-host x-forwarded-x x-real-ip",
    "REQUEST_ID": "x-request-id",
    "TRACEPARENT": "traceparent",
    "GATEWAY": "x-gateway-backend x-gateway-",
    "CONTENT_TYPE": "content-type",
    "ACCEPT_ENCODING": "accept-encoding",
    "CONTENT_ENCODING": "content-encoding",
    "RETRY_AFTER": "retry-after",
    "RETRY_AFTER_MS": "retry-after-ms",
    "ORIGIN": "origin",
    "SERVER": "server via x-powered-by",
    "SET_COOKIE": "set-cookie alt-svc strict-transport-security",
    "DATE": "date",
    "ORGANISATION": "openai-organization openai-project",
    "SHOULD_RETRY": "x-should-retry",
    "CORS": "access-control-allow-origin access-control-max-age",
    "UNDERSCORE": "x_custom content_length transfer_encoding _ a_",
    "CACHE_CONTROL": "cache-control",
}
PAIRS = [(meant, name) for meant, names in NAMES.items() for name in names.split()]


@pytest.mark.parametrize("meant, name", PAIRS)
def test_a_name_means_what_it_means_in_any_case(meant: str, name: str) -> None:
    for spelt in (name, name.upper(), name.title()):
        assert head.meaning(spelt.encode()) == MEANING[meant]


def test_every_meaning_has_a_name() -> None:
    assert set(MEANING) - set(NAMES) == {"OTHER", "NAMED_BY_CONNECTION"}


@pytest.mark.parametrize("name", sorted({name for _, name in PAIRS if "_" not in name}))
def test_a_name_that_is_nearly_another_means_nothing(name: str) -> None:
    exact = {known for _, known in PAIRS}
    prefixes = ("proxy-", "x-gateway-", "x-forwarded-", "access-control-")
    for near in (name[:-1], name + "s", "a" + name, name[1:], name[:-1] + "~"):
        if near and near not in exact and not near.startswith(prefixes):
            assert head.meaning(near.encode()) == MEANING["OTHER"], near
