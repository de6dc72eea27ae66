"""Heads, read by ours and by httptools (llhttp): what docs/decisions/0001 stands on.

Budget: a quarter of httptools' time. Both find the same: method, target, every field,
framing, keep-alive. httptools is given compiled callbacks and one parser for all
messages of a connection, as a proxy would; ours looks for the end of the head first.
"""

from functools import partial

from bench.micro.timing import compiled, report

SOURCE = """
from libc.stdint cimport uint32_t, uint64_t
from gateway._fast.head cimport Head, head_end, parse_request, parse_response

def requests(bytes data, uint64_t operations):
    cdef Head head
    cdef const char* at = data
    cdef uint32_t length = <uint32_t>len(data)
    cdef uint64_t index, sum = 0
    for index in range(operations):
        sum += <uint64_t>parse_request(&head, at, <uint32_t>head_end(at, length, 0), 100)
        sum += <uint64_t>head.count
    return sum

def responses(bytes data, uint64_t operations):
    cdef Head head
    cdef const char* at = data
    cdef uint32_t length = <uint32_t>len(data)
    cdef uint64_t index, sum = 0
    for index in range(operations):
        sum += <uint64_t>parse_response(&head, at, <uint32_t>head_end(at, length, 0), 100)
        sum += <uint64_t>head.count
    return sum

cdef class Reader:
    # What a proxy keeps of each message.
    cdef public object parser
    cdef public object method
    cdef bytes url
    cdef list fields
    cdef public uint64_t count
    cdef public bint keep_alive

    def on_message_begin(self):
        self.fields = []

    def on_url(self, bytes url):
        self.url = url

    def on_header(self, bytes name, bytes value):
        self.fields.append((name, value))

    def on_headers_complete(self):
        self.keep_alive = self.parser.should_keep_alive()

    def on_message_complete(self):
        self.count += <uint64_t>len(self.fields)

def fed(reader, bytes data, uint64_t operations):
    cdef uint64_t index
    feed = reader.parser.feed_data
    for index in range(operations):
        feed(data)
    return reader.count
"""

SMALL = b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n"
CLIENT = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.example:8080\r\n"
    b"Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nAccept: application/json\r\n"
    b"Content-Type: application/json\r\nUser-Agent: OpenAI/Python 2.7.1\r\n"
    b"X-Stainless-Lang: python\r\nX-Stainless-Package-Version: 2.7.1\r\nX-Stainless-OS: Linux\r\n"
    b"X-Stainless-Arch: x64\r\nX-Stainless-Runtime: CPython\r\n"
    b"X-Stainless-Runtime-Version: 3.11.7\r\n"
    b"Authorization: Bearer sk-0123456789abcdef0123456789abcdef\r\nX-Stainless-Async: false\r\n"
    b"x-stainless-retry-count: 0\r\nContent-Length: 0\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\ndate: Sat, 21 Nov 2026 12:00:00 GMT\r\nserver: uvicorn\r\n"
    b"content-length: 0\r\ncontent-type: application/json\r\nx-request-id: 4b1f\r\n\r\n"
)


def main() -> None:
    import httptools  # noqa: PLC0415 - after compiled(), which sets the path

    module = compiled("bench_parser", SOURCE)

    def reading(kind: str, data: bytes, operations: int) -> object:
        reader = module.Reader()
        reader.parser = getattr(httptools, kind)(reader)
        return module.fed(reader, data, operations)

    for name, data in (("small", SMALL), ("client", CLIENT)):
        fields = data.count(b"\r\n") - 2
        assert module.requests(data, 1) == reading("HttpRequestParser", data, 1) == fields
        report(f"parser/request_{name}_{fields}", partial(module.requests, data), 200_000)
        run = partial(reading, "HttpRequestParser", data)
        report(f"parser/request_{name}_{fields}_httptools", run, 50_000)
    assert module.responses(ANSWER, 1) == reading("HttpResponseParser", ANSWER, 1) == 5
    report("parser/response_5", partial(module.responses, ANSWER), 200_000)
    run = partial(reading, "HttpResponseParser", ANSWER)
    report("parser/response_5_httptools", run, 50_000)


if __name__ == "__main__":
    main()
