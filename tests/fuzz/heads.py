"""Any bytes: heads are found, taken, refused and understood as the definition says."""

import re

from gateway._fast import head
from gateway.errors import OUTCOMES
from tests.fuzz.loop import run
from tests.reference import head as reference

SEEDS = [
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: a.test:80\r\nContent-Length: 12\r\n"
    b"Connection: keep-alive, x-a\r\nExpect: 100-continue\r\nX-A: 1\r\n\r\n",
    b"GET http://a/x/..b/?q=%2e HTTP/1.0\r\nhost: a\r\nUpgrade: websocket\r\n"
    b"connection: upgrade\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: [::1]:8080\r\ntransfer-encoding: chunked\r\n\r\n",
    b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    b"HTTP/1.0 404 \r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
]
GADGETS = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b" ", b"\t", b"\0", b"\x0b", b"\x7f", b"\xff",
    b":", b",", b";", b"/", b"..", b"/../", b"%2e", b"%", b"#", b"?", b"[", b"]", b"@",
    b"chunked", b"close", b"host", b"\r\nhost: b", b"\r\ncontent-length: 3", b"HTTP/1.1",
    b"HTTP/2.0", b"\r\ntransfer-encoding: chunked", b"\r\n x: folded", b"x_y: 1\r\n",
    b"0" * 19, b"GET", b"600",
]  # fmt: skip


def fuzz_one(data: bytes) -> None:
    found = re.search(rb"\n\r?\n", data)
    assert head.end_of_head(data) == (found.end() if found else -1)
    data = data[: found.end()] if found else data
    for ours, theirs in ((head.request, reference.request), (head.response, reference.response)):
        made = ours(data)
        assert (None if isinstance(made, int) else made) == theirs(data)
        assert not isinstance(made, int) or OUTCOMES[made].status >= 400


if __name__ == "__main__":
    run(fuzz_one, SEEDS, GADGETS)
