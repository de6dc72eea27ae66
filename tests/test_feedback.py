"""Feedback: bodies in many shapes, sentences for wrong ones, ids that stay."""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.feedback import (
    MAX_BODY_BYTES,
    SIGNALS,
    FeedbackError,
    Signal,
    TooMuchFeedback,
    read_feedback,
    records_of,
)
from gateway.messages import Feedback

R = "0192f0c1-1111-7222-8333-444455556666"
NDJSON = "application/x-ndjson; charset=utf-8"


def read(body: object, content_type: str = "application/json", key: str = "") -> list[Signal]:
    return read_feedback(json.dumps(body).encode(), content_type, key)


def one(**members: Any) -> Signal:
    [signal] = read({"request_id": R, **members})
    return signal


def sentence(body: object, content_type: str = "application/json") -> str:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(FeedbackError) as caught:
        read_feedback(text, content_type)
    return str(caught.value)


def wrong(**members: Any) -> str:
    return sentence({"request_id": R, **members})


@pytest.mark.parametrize(
    "members,signal,value",
    [
        ({"signal": "accept"}, "accept", True),
        ({"signal": "accept", "value": False}, "accept", False),
        ({"signal": "edit"}, "edit", msgspec.UNSET),
        ({"signal": "edit", "distance": 0.25}, "edit", 0.25),
        ({"signal": "edit", "value": 0.25}, "edit", 0.25),
        ({"signal": "edit", "count": 3}, "edit", {"count": 3}),
        ({"signal": "edit", "count": 3, "distance": 1}, "edit", {"distance": 1.0, "count": 3}),
        ({"signal": "regenerate"}, "regenerate", msgspec.UNSET),
        ({"signal": "regenerate", "value": 2}, "regenerate", 2),
        ({"signal": "ticket"}, "ticket", msgspec.UNSET),
        ({"signal": "ticket", "value": "SUP-118"}, "ticket", "SUP-118"),
        ({"signal": "task", "value": True}, "task", True),
        ({"signal": "task_completion", "value": False}, "task", False),
        ({"signal": "thumbs", "value": "up"}, "thumbs", True),
        ({"signal": "thumbs", "value": "down"}, "thumbs", False),
        ({"signal": "thumbs", "value": -1}, "thumbs", False),
        ({"signal": "thumbs", "value": True}, "thumbs", True),
        ({"signal": "thumbs_down"}, "thumbs", False),
        ({"signal": "score", "value": 4}, "score", 4),
        (
            {"signal": "rating", "value": 0.5, "name": "tone"},
            "score",
            {"score": 0.5, "name": "tone"},
        ),
        ({"signal": "score", "value": 4, "range": [1, 5]}, "score", {"score": 4, "range": [1, 5]}),
        ({"signal": "label", "value": "fraud"}, "label", "fraud"),
        ({"signal": "label", "value": None}, "label", None),
        ({"signal": "label", "label": {"class": 3}}, "label", {"class": 3}),
        ({"ground_truth": [1, 0]}, "label", [1, 0]),
        ({"label": 7}, "label", 7),
        ({"signal": "comment", "comment": "too long"}, "comment", msgspec.UNSET),
    ],
)
def test_signal_is_read_with_its_value(members: dict[str, Any], signal: str, value: object) -> None:
    found = one(**members)
    assert (found.signal, found.value) == (signal, value)
    assert type(found.value) is type(value)


def test_every_signal_can_be_said() -> None:
    values = {"task": True, "thumbs": "up", "score": 1, "label": "x", "comment": "x"}
    for name in SIGNALS:
        assert (
            one(signal=name, **({"value": values[name]} if name in values else {})).signal == name
        )


def test_any_signal_takes_a_comment_a_source_and_a_time() -> None:
    found = one(
        signal="accept", comment="good", source="web", happened_at="2026-01-31T12:00:00+02:00"
    )
    assert (found.comment, found.source) == ("good", "web")
    assert found.happened_at == "2026-01-31T10:00:00.000000Z"


def test_comment_may_be_the_value_of_the_signal_comment() -> None:
    assert one(signal="comment", value="too long").comment == "too long"


@pytest.mark.parametrize(
    "members,said",
    [
        ({}, "`signal` is missing: one of accept, edit, regenerate,"),
        ({"signal": "acept"}, "`acept` is no signal, did you mean `accept`."),
        ({"signal": 3}, "`signal`: expected `str`, got `int`."),
        (
            {"signal": "accept", "valeu": 1},
            "`valeu` is not a member of feedback, did you mean `value`.",
        ),
        ({"signal": "accept", "value": "yes"}, "`value` is true or false."),
        (
            {"signal": "accept", "distance": 0.1},
            "`distance` says nothing about the signal `accept`.",
        ),
        ({"signal": "edit", "distance": 1.5}, "`distance`: expected `float` <= 1.0."),
        ({"signal": "edit", "value": 3}, "`value` of an edit is its distance, 0 to 1"),
        ({"signal": "edit", "value": 0.1, "distance": 0.1}, "are the same; give one."),
        ({"signal": "edit", "count": -1}, "`count`: expected `int` >= 0."),
        ({"signal": "regenerate", "value": 0}, "`value` of a regenerate is how often"),
        ({"signal": "regenerate", "value": True}, "`value` of a regenerate is how often"),
        ({"signal": "ticket", "value": 118}, "`value` of a ticket is its name"),
        ({"signal": "task"}, "`value` is true or false."),
        ({"signal": "thumbs"}, '`value` of thumbs is "up" or "down".'),
        ({"signal": "thumbs", "value": "sideways"}, '`value` of thumbs is "up" or "down".'),
        ({"signal": "thumbs", "value": [1]}, '`value` of thumbs is "up" or "down".'),
        ({"signal": "thumbs_up", "value": 3}, "`thumbs_up` takes no `value`."),
        ({"signal": "score"}, "`value` of a score is a number."),
        ({"signal": "score", "value": True}, "`value` of a score is a number."),
        ({"signal": "score", "value": 2**60}, "`value` of a score is a number."),
        ({"signal": "score", "value": 6, "range": [1, 5]}, "`value` is outside of `range`."),
        ({"signal": "score", "value": 6, "range": [5, 1]}, "`range` is the lowest and the highest"),
        ({"signal": "score", "value": 6, "range": [5]}, "`range`: expected `array` of length 2."),
        ({"signal": "label"}, "a label says what is true as `value`."),
        ({"value": 1, "label": 1}, "a label says what is true once, not twice."),
        ({"label": "x" * 5000}, "`value` is longer than 4096 bytes."),
        ({"label": [[[[[[[[[1]]]]]]]]]}, "`value` is nested deeper than 8."),
        ({"signal": "comment"}, "`comment` is a text of 1 to 8192 characters."),
        ({"signal": "comment", "comment": "a", "value": "b"}, "a comment is given once"),
        (
            {"signal": "accept", "comment": "x" * 8193},
            "`comment`: expected `str` of length <= 8192.",
        ),
        ({"signal": "accept", "source": "x" * 129}, "`source`: expected `str` of length <= 128."),
        ({"signal": "accept", "happened_at": "yesterday"}, "`happened_at` is a time with its zone"),
        (
            {"signal": "accept", "happened_at": "2026-01-31T12:00:00"},
            "`happened_at` is a time with",
        ),
        (
            {"signal": "accept", "happened_at": "0001-01-01T00:00:00+23:59"},
            "`happened_at` is a time",
        ),
        ({"signal": "accept", "request_id": ""}, "`request_id` has 1 to 64 letters"),
        ({"signal": "accept", "request_id": "a b"}, "`request_id` has 1 to 64 letters"),
    ],
)
def test_wrong_member_is_named_in_one_sentence(members: dict[str, Any], said: str) -> None:
    found = wrong(**members)
    assert said in found
    assert found.endswith(".")
    assert "\n" not in found


@pytest.mark.parametrize(
    "body,said",
    [
        (b"", "The body holds no signal."),
        (b"[]", "The body holds no signal."),
        (b"nonsense", "this is not JSON."),
        (b"[1,", "The body is not JSON."),
        (b'"accept"', "each signal is a JSON object, such as"),
        (b'{"signal":"accept","request_id":"\xff"}', "this is not JSON."),
        (b'{"signal":"accept"}', "`request_id` is missing: the `x-request-id` of the answer"),
        (b'{"signal":"accept","id":"a b"}', "`id` has 1 to 64 letters, digits"),
        (b'{"request_id":"a"}\n{"request_id":"b"}', "send `content-type: application/x-ndjson`."),
        (b'{"label":' + b"[" * 5000 + b"]" * 5000 + b"}", "this is nested too deeply."),
        (b'{"request_id":"a","signal":"score","value":1e999}', "ut of range."),
        (b'{"request_id":"a","signal":"score","value":NaN}', "this is not JSON."),
    ],
)
def test_wrong_body_is_one_sentence(body: bytes, said: str) -> None:
    assert said in sentence(body)


def test_list_and_lines_hold_many_signals() -> None:
    bodies = [{"request_id": R, "signal": "accept"}, {"request_id": "b", "signal": "thumbs_up"}]
    lines = "\r\n".join(map(json.dumps, bodies)).encode() + b"\n\n"
    assert read(bodies) == read_feedback(lines, NDJSON)
    assert [signal.request_id for signal in read(bodies)] == [R, "b"]


@pytest.mark.parametrize("content_type,noun", [("application/json", "item"), (NDJSON, "line")])
def test_one_wrong_signal_refuses_the_whole_body_and_is_numbered(
    content_type: str, noun: str
) -> None:
    bodies = [{"request_id": R, "signal": "accept"}, {"request_id": R, "signal": "acept"}]
    text = json.dumps(bodies) if noun == "item" else "\n".join(map(json.dumps, bodies))
    assert sentence(text.encode(), content_type).startswith(f"{noun} 2: `acept` is no signal")


def test_size_and_count_are_bounded() -> None:
    with pytest.raises(TooMuchFeedback, match="larger than 1024 KiB") as caught:
        read_feedback(b" " * (MAX_BODY_BYTES + 1))
    assert caught.value.status == 413
    with pytest.raises(TooMuchFeedback, match="more than 1000 signals"):
        read([{"request_id": R, "signal": "accept"}] * 1001)
    assert len(read([{"request_id": R, "signal": "accept"}] * 1000)) == 1000
    with pytest.raises(FeedbackError, match="`idempotency-key` is longer"):
        read({"request_id": R, "signal": "accept"}, key="k" * 257)


def test_metric_and_inference_are_other_names() -> None:
    def metric(name: str, value: object) -> tuple[str, Any]:
        [found] = read({"inference_id": R, "metric_name": name, "value": value})
        assert found.request_id == R
        return found.signal, found.value

    assert metric("thumbs_up", True) == ("thumbs", True)
    assert metric("task_success", False) == ("task", False)
    assert metric("demonstration", "Lima") == ("label", "Lima")
    assert metric("helpfulness", 0.5) == ("score", {"score": 0.5, "name": "helpfulness"})
    said = {"score": 1, "range": [0, 1], "name": "was_helpful"}
    assert metric("was_helpful", True) == ("score", said)


# -- ids


def ids(body: object, key: str = "") -> list[str]:
    return [record.id for record in records_of(read(body, key=key), now_s=1.0)]


def test_same_key_is_the_same_feedback() -> None:
    body = {"request_id": R, "signal": "accept"}
    assert ids(body, "k") == ids(body, "k") == ids(body | {"comment": "again"}, "k")
    assert uuid.UUID(ids(body, "k")[0]).version == 8
    assert ids(body | {"id": "k"}) == ids(body | {"idempotency_key": "k"})


def test_key_request_and_signal_all_make_the_id() -> None:
    body = {"request_id": R, "signal": "accept"}
    others = [
        ids(body, "k"),
        ids(body, "other"),
        ids(body | {"request_id": "b"}, "k"),
        ids(body | {"signal": "edit"}, "k"),
    ]
    assert len({name for [name] in others}) == 4


def test_without_a_key_each_time_is_another() -> None:
    body = {"request_id": R, "signal": "accept"}
    first, second = ids([body, body])
    assert first != second
    assert uuid.UUID(first).version == 7
    assert uuid.UUID(first).int >> 80 == 1000  # the time in milliseconds


def test_one_header_key_covers_each_signal_of_a_body() -> None:
    body = [{"request_id": R, "signal": "comment", "comment": text} for text in "ab"]
    assert len(set(ids(body, "k"))) == 2
    assert ids(body, "k") == ids(body, "k")


def test_repeat_within_a_body_counts_once() -> None:
    body = {"request_id": R, "signal": "accept", "idempotency_key": "k"}
    assert len(ids([body, body])) == 1


# -- records


def record(**members: Any) -> Feedback:
    [found] = records_of(
        read({"request_id": R, **members}),
        now_s=1_760_000_000.5,
        redact=lambda t: t.replace("s3", "*"),
    )
    return found


def test_record_is_whole_but_for_what_the_writer_fills_in() -> None:
    found = record(signal="score", value=4, range=[1, 5], source="web")
    assert msgspec.json.decode(msgspec.json.encode(found)) == {
        "v": 1,
        "id": found.id,
        "time": "2025-10-09T08:53:20.500000Z",
        "kind": "feedback",
        "gateway": "",
        "worker": 0,
        "stream": "",
        "seq": 0,
        "request_id": R,
        "signal": "score",
        "value": {"score": 4, "range": [1, 5]},
        "source": "web",
    }


def test_every_text_is_redacted() -> None:
    found = record(signal="label", value={"a": ["s3", 1]}, comment="my s3", source="s3")
    assert "s3" not in msgspec.json.encode(found).decode()
    assert (found.comment, found.source) == ("my *", "*")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_any_label_becomes_one_line_of_json_or_a_sentence(label: object) -> None:
    try:
        found = record(label=label)
    except FeedbackError:
        return
    line = msgspec.json.encode(found)
    assert b"\n" not in line
    json.loads(line)


@given(st.binary(max_size=200))
def test_any_bytes_are_signals_or_a_sentence(body: bytes) -> None:
    for content_type in ("", NDJSON):
        with contextlib.suppress(FeedbackError):
            assert read_feedback(body, content_type)
