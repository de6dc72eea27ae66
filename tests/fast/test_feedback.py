"""Feedback on the data port: taken into the log, and no request of any route."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.messages import Feedback
from tests.support.messages import post
from tests.support.stage import Stage, serving


@pytest.fixture
def stage() -> Stage:
    stage = Stage(serving("a"))
    stage.take_feedback()
    return stage


def test_signals_are_lines_of_the_log(stage: Stage) -> None:
    client = stage.client()
    client.ask(post("/v1/feedback", {"request_id": "r-1", "signal": "thumbs", "value": "up"}))
    answer = client.answer()
    assert answer.status == 202
    (line,) = stage.log.entries()
    assert isinstance(line, Feedback)
    assert (line.request_id, line.signal) == ("r-1", "thumbs")
    assert line.value == msgspec.Raw(b"true")
    assert answer.json == {"ids": [line.id]}


def test_a_wrong_signal_is_told_and_nothing_is_kept(stage: Stage) -> None:
    client = stage.client()
    both = [{"request_id": "r-1", "signal": "accept"}, {"request_id": "r-1", "signal": "applaud"}]
    client.ask(post("/v1/feedback", both))
    assert client.answer().status == 400
    assert client.answer().json["error"]["message"].startswith("item 2: `applaud` is no signal")
    assert stage.log.entries() == []


def test_a_key_makes_the_same_id(stage: Stage) -> None:
    client = stage.client()
    for _ in range(2):
        client.ask(
            post("/v1/feedback", {"request_id": "r", "signal": "accept"}, "idempotency-key: k")
        )
    first, second = client.answers()
    assert first.json == second.json


def test_secrets_in_a_comment_are_taken_out(stage: Stage) -> None:
    client = stage.client()
    key = "sk-proj-" + "a1B2" * 8
    said = {"request_id": "r", "signal": "comment", "comment": f"use {key} please"}
    client.ask(post("/v1/feedback", said))
    assert client.answer().status == 202
    assert key.encode() not in stage.log.lines()[0]


def test_without_a_log_feedback_is_refused() -> None:
    stage = Stage(serving("a"))
    client = stage.client()
    client.ask(post("/v1/feedback", {"request_id": "r", "signal": "accept"}))
    assert (client.answer().status, client.answer().json["error"]["code"]) == (503, "log_off")


def test_a_body_too_large_is_refused_before_it_comes(stage: Stage) -> None:
    client = stage.client()
    client.ask(b"POST /v1/feedback HTTP/1.1\r\nhost: g\r\ncontent-length: 1048577\r\n\r\n")
    assert client.answer().status == 413


def test_it_counts_as_no_request_of_a_route(stage: Stage) -> None:
    client = stage.client()
    client.ask(post("/v1/feedback", {"request_id": "r", "signal": "accept"}))
    client.ask(post("/v1/feedback", json.loads("[]")))
    assert stage.refusals() == {}
    stage.assert_settled()
