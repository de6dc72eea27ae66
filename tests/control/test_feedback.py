"""`POST /api/v1/feedback` over a log of fakes."""

from __future__ import annotations

import json

import msgspec
import pytest
from starlette.testclient import TestClient

from gateway.errors import GatewayError
from gateway.feedback import MAX_BODY_BYTES
from gateway.messages import Feedback
from tests.control.parts import NOW_S, FakeGateway

PATH = "/api/v1/feedback"
GOOD = {"request_id": "r1", "signal": "accept"}


class FakeLog:
    """Keeps what it is given; raises once it is full."""

    def __init__(self, room: int = 100) -> None:
        self.lines: list[Feedback] = []
        self._room = room

    def append(self, feedback: Feedback) -> int:
        if len(self.lines) == self._room:
            raise GatewayError("The log is full.")
        self.lines.append(feedback)
        return len(self.lines)


def client_of(log: FakeLog | None, **parts: object) -> TestClient:
    gateway = FakeGateway()
    gateway.parts = msgspec.structs.replace(gateway.parts, feedback=log, **parts)
    return gateway.client()


def test_feedback_is_logged_and_answered_with_its_ids() -> None:
    log = FakeLog()
    answer = client_of(log).post(PATH, json=[GOOD, GOOD | {"comment": "fine"}])
    assert answer.status_code == 202
    assert answer.json() == {"ids": [line.id for line in log.lines]}
    assert [line.comment for line in log.lines] == ["", "fine"]
    assert log.lines[0].time.startswith("2025-10-09T08:53:20"), NOW_S


def test_lines_are_taken() -> None:
    log = FakeLog()
    lines = f"{json.dumps(GOOD)}\n{json.dumps(GOOD)}\n"
    headers = {"content-type": "application/x-ndjson"}
    assert client_of(log).post(PATH, content=lines, headers=headers).status_code == 202
    assert len(log.lines) == 2


def test_header_makes_it_idempotent() -> None:
    client = client_of(FakeLog())
    headers = {"idempotency-key": "k"}
    first, second = (client.post(PATH, json=GOOD, headers=headers).json() for _ in range(2))
    assert first == second


def test_texts_are_redacted_before_they_are_logged() -> None:
    log = FakeLog()
    client_of(log, redact=lambda text: "***").post(PATH, json=GOOD | {"comment": "call 555"})
    assert log.lines[0].comment == "***"


@pytest.mark.parametrize(
    "content,status,code,sentence",
    [
        (json.dumps([GOOD, {"request_id": "r"}]), 400, "bad_body", "item 2: `signal` is missing"),
        ("", 400, "bad_body", "The body holds no signal."),
        (" " * (MAX_BODY_BYTES + 1), 413, "body_too_large", "The body is larger than 1024 KiB"),
    ],
)
def test_wrong_feedback_leaves_nothing(content: str, status: int, code: str, sentence: str) -> None:
    log = FakeLog()
    headers = {"content-type": "application/json"}
    answer = client_of(log).post(PATH, content=content, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert error["message"].startswith(sentence)
    assert not log.lines


def test_form_of_another_site_is_not_taken() -> None:
    headers = {"content-type": "text/plain"}
    assert client_of(FakeLog()).post(PATH, content="{}", headers=headers).status_code == 415


def test_log_that_is_off_or_full_is_503() -> None:
    off = client_of(None).post(PATH, json=GOOD)
    assert (off.status_code, off.json()["error"]["code"]) == (503, "log_off")
    full = client_of(FakeLog(room=0)).post(PATH, json=GOOD)
    assert (full.status_code, full.json()["error"]["message"]) == (503, "The log is full.")
