import json
from dataclasses import asdict
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway._fast.events import Events
from gateway._fast.marks import Marks
from tests.reference import events as reference
from tests.support.marks import ANTHROPIC, CHAT, OLLAMA, RESPONSES, USAGE
from tests.support.strategies import assert_splitting_does_not_matter, cut_at

STOP, LENGTH, TOOLS, FILTER, OTHER = 1, 2, 3, 4, 5
STATE = [*asdict(reference.Seen())]


def chat(content: str = "Hello", **members: Any) -> dict[str, Any]:
    finish = members.pop("finish_reason", None)
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]} | members


def sse(*events: Any, end: str = "\n") -> bytes:
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return "".join(f"data: {text}{end}{end}" for text in texts).encode()


USAGE_EVENT = chat(choices=[], usage=USAGE)
STREAM = sse(chat(), chat("!", usage=None), chat("", finish_reason="stop"), USAGE_EVENT, "[DONE]")


def state_of(events: Events) -> dict[str, Any]:
    return {name: getattr(events, name) for name in STATE}


def relayed(
    pieces: list[bytes], marks: dict[str, Any] = CHAT, **arguments: Any
) -> tuple[bytes, dict[str, Any]]:
    events = Events(Marks(**marks), **arguments)
    out = b"".join(events.feed(piece) for piece in pieces) + events.flush()
    return out, state_of(events)


def seen(data: bytes, marks: dict[str, Any] = CHAT, **arguments: Any) -> dict[str, Any]:
    return relayed([data], marks, **arguments)[1]


# What a stream says.


def test_a_chat_stream_tells_its_end_and_its_usage() -> None:
    assert seen(STREAM) == {
        "done": True, "finished": True, "failed": False, "overflowed": False,
        "count": 5, "withheld": 0, "malformed": 0,
        "input_tokens": 12, "output_tokens": 34, "cached_tokens": 5, "finish": STOP,
    }  # fmt: skip


def test_usage_is_withheld_from_a_client_that_did_not_ask() -> None:
    out, state = relayed([STREAM], withhold_usage=True)
    assert out == STREAM.replace(sse(USAGE_EVENT), b"")
    assert (state["withheld"], state["input_tokens"], state["done"]) == (1, 12, True)


@pytest.mark.parametrize(
    "event",
    [
        chat(usage=USAGE),
        chat(choices=[]),
        chat(choices=[], usage=None),
        chat(choices=None, usage=USAGE),
        {"usage": USAGE},
        chat('"choices":[],"usage":{}'),
    ],
)
def test_no_other_event_is_withheld(event: dict[str, Any]) -> None:
    assert relayed([sse(event)], withhold_usage=True)[0] == sse(event)


def test_a_chunk_is_relayed_as_the_same_object() -> None:
    for withhold_usage in (False, True):
        events = Events(Marks(), withhold_usage=withhold_usage)
        for chunk in (sse(chat()), b": ping\n\n", sse(chat("", finish_reason="stop"), "[DONE]")):
            assert events.feed(chunk) is chunk


def test_without_withholding_a_part_of_an_event_is_relayed_at_once() -> None:
    events = Events(Marks())
    for at in range(len(STREAM)):
        chunk = STREAM[at : at + 1]
        assert events.feed(chunk) is chunk
    assert events.flush() == b""
    assert state_of(events) == seen(STREAM)


def test_when_withholding_a_part_of_an_event_waits_for_the_rest() -> None:
    events = Events(Marks(), withhold_usage=True)
    first, second = sse(chat("a")), sse(chat("b"))
    assert events.feed(first + second[:20]) == first
    assert events.feed(second[20:30]) == b""
    assert events.feed(second[30:] + b": pi") == second + b": pi"
    assert events.feed(b"ng\n\n") == b"ng\n\n"


def test_text_that_only_talks_of_these_words_says_nothing() -> None:
    content = 'data: [DONE] "usage":{"prompt_tokens":9} "error":1 "finish_reason":"stop"'
    assert seen(sse(chat(content), chat("[DONE]"))) == asdict(reference.Seen(count=2))


@pytest.mark.parametrize("spelling", ['"us\\u0061ge"', '"usage" ', '"usage"\\n'])
def test_a_key_counts_however_it_is_spelt(spelling: str) -> None:
    text = json.dumps(USAGE_EVENT).replace('"usage"', spelling.replace("\\n", "\n"))
    data = "".join(f"data: {line}\n" for line in text.split("\n")) + "\n"
    assert seen(data.encode())["input_tokens"] == 12


def test_every_choice_must_be_complete() -> None:
    choices = [{"index": n, "delta": {}, "finish_reason": "stop"} for n in range(3)]
    events = Events(Marks(), choices=3)
    for index, is_finished in [(0, False), (0, False), (2, False), (1, True)]:
        events.feed(sse(chat(choices=[choices[index]])))
        assert events.finished is is_finished
    assert seen(sse(chat(choices=choices)), choices=3)["finished"]


@pytest.mark.parametrize(
    "reason, finish",
    [
        ("stop", STOP), ("length", LENGTH), ("tool_calls", TOOLS), ("content_filter", FILTER),
        ("end_turn", STOP), ("max_tokens", LENGTH), ("tool_use", TOOLS), ("whim", OTHER),
    ],
)  # fmt: skip
def test_a_reason_to_stop_is_known_by_its_name(reason: str, finish: int) -> None:
    assert seen(sse(chat(finish_reason=reason)))["finish"] == finish


@pytest.mark.parametrize(
    "data",
    [
        sse({"error": {"message": "overloaded"}}),
        sse({"error": "overloaded"}),
        b'event: error\ndata: {"message":"overloaded"}\n\n',
        b"event: error\ndata: overloaded\n\n",
        b"event:error\n\n",
        sse({"type": "error", "message": "overloaded"}),
        b'event: error\ndata: {"mess',
    ],
)
def test_an_error_event_is_a_failure(data: bytes) -> None:
    state = seen(data)
    assert state["failed"]
    assert not state["finished"]


@pytest.mark.parametrize("data", [sse(chat(error=None)), sse(chat("error")), b"event: errors\n\n"])
def test_no_other_event_is_a_failure(data: bytes) -> None:
    assert not seen(data)["failed"]


def responses(name: str, **members: Any) -> bytes:
    return f"event: {name}\n".encode() + sse({"type": name} | members)


def test_a_responses_stream_ends_with_its_terminal_event() -> None:
    usage = {"input_tokens": 3, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 2}}
    start = responses("response.created", response={"usage": None, "error": None})
    start += responses("response.output_text.delta", delta="response.completed")
    end = responses("response.completed", response={"usage": usage})
    assert not seen(start, RESPONSES)["finished"]
    state = seen(start + end, RESPONSES)
    assert (state["finished"], state["done"], state["finish"]) == (True, False, STOP)
    assert [state[name] for name in STATE if "tokens" in name] == [3, 4, 2]
    assert seen(start + end[:-5], RESPONSES)["finished"] is False
    assert seen(sse({"type": "response.incomplete"}), RESPONSES)["finish"] == LENGTH
    assert seen(responses("response.failed"), RESPONSES)["failed"]


def test_figures_of_several_events_add_to_one_usage() -> None:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}}
    delta = {"type": "message_delta", "usage": {"output_tokens": 9}}
    state = seen(sse(start, delta, {"type": "message_stop"}), ANTHROPIC)
    assert (state["input_tokens"], state["output_tokens"], state["finished"]) == (7, 9, True)


def test_a_line_of_ndjson_is_an_event() -> None:
    lines: list[dict[str, Any]] = [
        {"response": "a\nb", "done": False},
        {"response": "", "done": True, "prompt_eval_count": 3, "eval_count": 4},
    ]
    data = b"\r\n".join(json.dumps(line).encode() for line in lines)
    state = seen(data, OLLAMA, ndjson=True)
    assert (state["count"], state["done"], state["finished"]) == (2, True, True)
    assert (state["input_tokens"], state["output_tokens"]) == (3, 4)
    assert not seen(data[:-1], OLLAMA, ndjson=True)["done"]


# The grammar of event streams.


@pytest.mark.parametrize(
    "data, count",
    [
        (b"", 0), (b"\n\n", 0), (b": comment\n\n", 0), (b"id: 1\nretry: 5\n\n", 0),
        (b"data: {}\n\n", 1), (b"data:{}\n\n", 1), (b"data\n\n", 1), (b"data:\n\n", 1),
        (b"data: {}\r\rdata: {}\r\n\r\ndata: {}\n\r\n", 3), (b"data: {}\n\n\n\ndata: {}\n\n", 2),
        (b"\xef\xbb\xbfdata: {}\n\n", 1), (b"\xef\xbb\xbf\xef\xbb\xbfdata: {}\n\n", 0),
        (b": c\n\n\xef\xbb\xbfdata: {}\n\n", 0), (b"data : {}\n\n", 0), (b" data: {}\n\n", 0),
        (b"DATA: {}\n\n", 0), (b"data: {\ndata: }\n\n", 1), (b"data: {}\n: c\n\n", 1),
        (b"data: {}", 1), (b"data: {}\n", 1),
    ],
)  # fmt: skip
def test_events_are_counted_as_the_standard_has_them(data: bytes, count: int) -> None:
    assert seen(data)["count"] == count
    assert seen(data)["malformed"] == 0


@pytest.mark.parametrize(
    "data", [b"data: [DONE]", b"data:[DONE]\n", b"data: [DONE] \n\n", b"id: 1\ndata: [DONE]\n\n"]
)
def test_the_done_marker_counts_with_and_without_its_blank_line(data: bytes) -> None:
    assert seen(data)["done"]


@pytest.mark.parametrize(
    "data", [b"data: [DONE", b"data: [DONE]]\n\n", b": [DONE]\n\n", b"[DONE]\n\n"]
)
def test_what_is_like_the_done_marker_is_not(data: bytes) -> None:
    assert not seen(data)["done"]


@pytest.mark.parametrize(
    "text",
    ['{"a":1', '{"a":1}}', "hello", "[]", "1", '{"usage":}', '{"error":{]}', '{"a":"usage" 1,}'],
)
def test_an_event_that_is_no_json_object_is_malformed_when_all_are_scanned(text: str) -> None:
    assert seen(sse(text), {"validate": True})["malformed"] == 1


@pytest.mark.parametrize(
    "text", ['{"a":1', "hello", "[]", '{"usage":}', '{"choices":[{"finish_reason":"stop"]}']
)
def test_a_cut_or_telling_event_that_is_malformed_counts_in_any_case(text: str) -> None:
    state = seen(sse(text))
    assert (state["malformed"], state["finished"], state["failed"]) == (1, False, False)


def test_data_that_is_no_json_is_left_alone_where_none_is_expected() -> None:
    data = sse("hello", "[DONE]") + b"event: bye\ndata: x\n\n"
    state = seen(data, {"json": False, "ended": {"bye": "stop"}})
    assert (state["malformed"], state["count"], state["finished"]) == (0, 3, True)


# Limits.


def test_an_event_over_the_limit_passes_unread() -> None:
    big = chat("x" * 300, finish_reason="stop")
    state = seen(sse(big, USAGE_EVENT), {"limit": 250})
    assert (state["overflowed"], state["finished"], state["input_tokens"]) == (True, False, 12)


def test_what_was_held_of_an_event_over_the_limit_is_let_go() -> None:
    events = Events(Marks(limit=100), withhold_usage=True)
    assert events.feed(b"data: " + b"x" * 94) == b""
    assert events.feed(b"y") == b"data: " + b"x" * 94 + b"y"
    assert events.feed(b"z" * 500) == b"z" * 500
    assert events.feed(b"\n\n" + sse(chat(choices=[], usage={}))) == b"\n\n"
    assert (events.overflowed, events.withheld) == (True, 1)


def test_the_name_of_an_event_over_the_limit_still_counts_when_it_is_complete() -> None:
    marks = RESPONSES | {"limit": 100}
    data = responses("response.completed", response={"text": "x" * 300})
    assert seen(data, marks)["finished"]
    assert not seen(data[:-1], marks)["finished"]
    assert not seen(b"data: " + b"x" * 300 + b"\nevent: response.completed\n\n", marks)["finished"]


# Cuts.


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("withhold_usage", [False, True])
@pytest.mark.parametrize("limit", [262144, 200, 150])
def test_splitting_a_chat_stream_does_not_matter(
    end: str, withhold_usage: bool, limit: int
) -> None:
    data = b": hi" + end.encode() + sse(chat(), USAGE_EVENT, "[DONE]", end=end)
    feed = partial(relayed, marks={"limit": limit}, withhold_usage=withhold_usage)
    assert_splitting_does_not_matter(feed, data)


@pytest.mark.parametrize("name", ["response.completed", "response.failed", "other"])
def test_splitting_a_responses_stream_does_not_matter(name: str) -> None:
    data = b"\xef\xbb\xbf" + responses(name, response={"usage": {"input_tokens": 1}})
    for limit in (20, 40, 262144):
        feed = partial(relayed, marks=RESPONSES | {"limit": limit})
        assert_splitting_does_not_matter(feed, data)


def test_splitting_ndjson_does_not_matter() -> None:
    data = b'{"done":false}\r\n\n{"done":true,"eval_count":2}\n{"x":[1,\r2]}'
    for limit in (15, 262144):
        feed = partial(relayed, marks=OLLAMA | {"limit": limit}, ndjson=True)
        assert_splitting_does_not_matter(feed, data)


# Events that are like the one before.

SCRAPS = (
    *('"', "\\", "\n", "\r", "\n\n", ":", " ", "}", "null", "1", "x", "\\u0075", "\\n", ""),
    *('"usage":{"prompt_tokens":7}', '"usage":null', '"usage"', '"error":1', '"error":null'),
    *('"stop"', '"finish_reason":"stop"', '"finish_reason":null'),
    *("data: [DONE]", "\n\ndata: ", "event: error", "w" * 40),
)


def by_definition(
    data: bytes, marks: dict[str, Any], **arguments: Any
) -> tuple[bytes, dict[str, Any]]:
    reader = reference.Reader(reference.Marks(**marks), **arguments)
    return reader.read(data), asdict(reader.seen)


def assert_same(
    found: tuple[bytes, dict[str, Any]], expected: tuple[bytes, dict[str, Any]]
) -> None:
    """What says nothing is not scanned, so that not all that is malformed was seen."""
    assert found[1].pop("malformed") <= expected[1].pop("malformed")
    assert found == expected


def assert_read_as_by_definition(
    pieces: list[bytes], marks: dict[str, Any], **arguments: Any
) -> None:
    expected = by_definition(b"".join(pieces), marks, **arguments)
    assert_same(relayed(pieces, marks, **arguments), expected)


@pytest.mark.parametrize("scrap", SCRAPS)
@pytest.mark.parametrize("removed", [0, 1, 4, 6])
def test_whatever_differs_from_the_event_before_is_seen(scrap: str, removed: int) -> None:
    first = sse(chat("a word", usage=None, service_tier="default"))
    pieces = [first]
    for at in range(len(first)):
        pieces += [first[:at] + scrap.encode() + first[at + removed :], first]
    assert_read_as_by_definition(pieces, CHAT)


@given(st.data())
def test_streams_of_like_events_are_read_as_the_reference_reads_them(data: st.DataObject) -> None:
    marks = data.draw(st.sampled_from([CHAT, RESPONSES, ANTHROPIC]))
    limit = data.draw(st.sampled_from([262144, 262144, 180, 150]))
    content = data.draw(st.sampled_from(["", "word", '"usage": {}']))
    pieces = [sse(chat(content, usage=None, tier="default"))]
    for _ in range(data.draw(st.integers(1, 6))):
        like = data.draw(st.sampled_from(pieces))
        at = data.draw(st.integers(0, len(like)))
        scrap = "".join(data.draw(st.lists(st.sampled_from(SCRAPS), max_size=3))).encode()
        pieces.append(like[:at] + scrap + like[at + data.draw(st.integers(0, 12)) :])
    withhold_usage = data.draw(st.booleans())
    assert_read_as_by_definition(pieces, marks | {"limit": limit}, withhold_usage=withhold_usage)


def test_figures_that_rise_with_every_event_are_read() -> None:
    pieces = [sse(chat(usage={"prompt_tokens": n}, tier="default")) for n in range(10, 20)]
    assert_read_as_by_definition(pieces, CHAT)
    assert seen(b"".join(pieces))["input_tokens"] == 19


def test_word_that_almost_was_one_before_is_read() -> None:
    almost = sse({"id": "chatcmpl-1", "usagx": {"prompt_tokens": 7}, "service_tier": "default"})
    for piece in (almost.replace(b"usagx", b"usage"), almost.replace(b"usagx", b"us\\u0061ge")):
        assert_read_as_by_definition([almost, piece], CHAT)
        assert seen(almost + piece)["input_tokens"] == 7


def test_end_that_is_an_object_is_not_taken_for_the_event_before() -> None:
    word = '{"id": "chatcmpl-1", "text": "word", "object": "chunk"}'
    marks = CHAT | {"done": word.replace("word", "done")}
    pieces = [sse(word), sse(word), sse(marks["done"])]
    assert_read_as_by_definition(pieces, marks)
    assert seen(b"".join(pieces), marks)["done"]


def test_byte_order_mark_counts_at_the_beginning_alone() -> None:
    marked = b"\xef\xbb\xbf" + sse(chat("word", service_tier="default"))
    assert_read_as_by_definition([marked, marked.replace(b"word", b"other")], CHAT)


def test_events_of_two_lines_that_are_like_the_one_before_are_read() -> None:
    plain = sse(chat("word", service_tier="default"))
    pieces = [plain, plain.replace(b"word", b'","x":\ndata: "'), b"event: error\n" + plain]
    pieces += [b"event: error\n" + plain.replace(b"word", b"other"), plain]
    assert_read_as_by_definition(pieces, CHAT)


def test_lines_of_ndjson_that_are_like_the_line_before_are_read() -> None:
    line = b'{"model":"llama","created_at":"2026-11-21T12:00:00Z","response":"word","done":false}\n'
    last = line.replace(b"false}", b'true,"eval_count":2}')
    pieces = [line, line.replace(b"word", b"another"), line.replace(b"word", b"\n"), last]
    assert_read_as_by_definition(pieces, OLLAMA, ndjson=True)


# Against the reference.

reasons = st.sampled_from([None, "stop", "length", "tool_calls", "odd", 1, ""])
figures: st.SearchStrategy[Any] = st.integers(-1, 10**19) | st.sampled_from(
    [None, 1.5, "7", [], True]
)
usages = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": figures,
        "input_tokens": figures,
        "completion_tokens": figures,
        "output_tokens": figures,
        "prompt_tokens_details": st.none() | st.fixed_dictionaries({"cached_tokens": figures}),
        "eval_count": figures,
    },
)
# Why not alphabets of hypothesis: its tables of Unicode, built once a machine, take over a second.
chars = (st.integers(0, 0xD7FF) | st.integers(0xE000, 0x10FFFF)).map(chr)
contents = st.text(chars, max_size=20) | st.sampled_from(
    ['"usage":{}', "[DONE]", "error", '"finish_reason":"stop"', "\x00\n", "response.completed"]
)
choice = st.fixed_dictionaries(
    {"delta": st.fixed_dictionaries({"content": contents})},
    optional={"index": st.sampled_from([0, 1, 2, 64, 65, None, "1"]), "finish_reason": reasons},
)
names = st.sampled_from(["response.completed", "response.failed", "error", "message_stop", "x"])
data_values = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.just([]) | st.lists(choice | st.just(7), max_size=2) | st.none(),
        "usage": usages,
        "response": st.none() | st.fixed_dictionaries({"usage": usages}),
        "error": st.sampled_from([None, "x", {}, False, 0]),
        "type": names | st.none(),
        "done": st.sampled_from([True, False, None, "true"]),
        "eval_count": figures,
        "text": contents,
    },
)


@st.composite
def json_texts(draw: st.DrawFn) -> str:
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", "\t:  ")]))
    value = draw(data_values)
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), separators=separators)
    if draw(st.booleans()):
        key = draw(st.sampled_from(["usage", "error", "choices", "done", "finish_reason"]))
        text = text.replace(f'"{key}"', f'"\\u{ord(key[0]):04x}{key[1:]}"')
    if draw(st.integers(0, 9)) == 0:
        text = text[: draw(st.integers(0, len(text)))]
    return text


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Event streams of good and odd manners."""
    ends = st.sampled_from(["\n", "\r\n", "\r"])
    end = st.just(draw(ends)) | ends
    out = draw(st.sampled_from(["", "", "\ufeff", "\n", ": hi\n"]))
    for _ in range(draw(st.integers(0, 6))):
        lines = draw(st.lists(st.sampled_from(["id: 1", ": c", "retry", "dat: x"]), max_size=2))
        if draw(st.integers(0, 3)) == 0:
            lines.append(f"event:{draw(st.sampled_from(['', ' ']))}{draw(names)}")
        text = draw(json_texts() | st.sampled_from(["[DONE]", "", " [DONE] ", "x"]))
        cut = draw(st.integers(0, len(text)))
        values = [text] if draw(st.booleans()) else [text[:cut], text[cut:]]
        lines += [f"data:{draw(st.sampled_from(['', ' ', '  ']))}{value}" for value in values]
        out += "".join(line + draw(end) for line in lines) + draw(end)
    data = out.encode("utf-8", "surrogatepass")
    return data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data


def check(data: bytes, cuts: set[int], marks: dict[str, Any], arguments: dict[str, Any]) -> None:
    pieces = cut_at(data, {cut % (len(data) + 1) for cut in cuts})
    expected = by_definition(data, marks, **arguments)
    assert relayed(pieces, marks | {"validate": True}, **arguments) == expected
    assert_same(relayed(pieces, marks, **arguments), expected)


arguments = st.fixed_dictionaries({"withhold_usage": st.booleans(), "choices": st.integers(1, 3)})
limits = st.sampled_from([262144, 262144, 0, 1, 20, 60, 100])
places = st.sets(st.integers(0, 10**6), max_size=8)


@given(streams(), places, st.sampled_from([CHAT, RESPONSES, ANTHROPIC]), limits, arguments)
@example(b"data\r\n\r\n", set(), CHAT, 6, {"withhold_usage": False, "choices": 1})
def test_streams_are_read_as_the_reference_reads_them(
    data: bytes, cuts: set[int], marks: dict[str, Any], limit: int, arguments: dict[str, Any]
) -> None:
    check(data, cuts, marks | {"limit": limit}, arguments)


@given(
    st.lists(json_texts() | st.sampled_from(["", " ", "\r", "x"]), max_size=6),
    st.sampled_from(["\n", "\r\n"]),
    places,
    limits,
    arguments,
)
def test_ndjson_is_read_as_the_reference_reads_it(
    lines: list[str], end: str, cuts: set[int], limit: int, arguments: dict[str, Any]
) -> None:
    data = end.join(lines).encode("utf-8", "surrogatepass")
    check(data, cuts, OLLAMA | {"limit": limit}, arguments | {"ndjson": True})
