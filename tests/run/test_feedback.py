"""The controller's stream of the log: there when it is needed, sealed off at the end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from gateway.errors import GatewayError
from gateway.feedback import LogOff, read_feedback, records_of
from gateway.log.lines import decode
from gateway.messages import Feedback
from gateway.plan import LogPlan, Plan
from gateway.run.feedback import SEGMENT_BYTES, ControllerLog
from tests.control.plans import blank, make_plan


def log_of(directory: Path, **members: object) -> ControllerLog:
    given = {"enabled": True, "gateway": "g", "segment_bytes": 64 << 20, "max_bytes": 1 << 30}
    plan: Plan = msgspec.structs.replace(
        make_plan({"chat": ["mini"]}),
        log=blank(LogPlan, directory=str(directory), **{**given, **members}),
    )
    return ControllerLog(lambda: plan)


def feedback(comment: str = "") -> Feedback:
    body = {"request_id": "r", "signal": "comment", "comment": comment or "fine"}
    [found] = records_of(read_feedback(msgspec.json.encode(body)))
    return found


async def test_stream_begins_with_the_first_signal_and_ends_with_the_controller(
    tmp_path: Path,
) -> None:
    log = log_of(tmp_path / "log")
    following = asyncio.create_task(log.follow())
    await asyncio.sleep(0.06)
    assert not (tmp_path / "log").exists()
    assert [log.append(feedback()), log.append(feedback())] == [1, 2]
    [path, *_] = sorted((tmp_path / "log").glob("c-*.open"))
    assert path.stat().st_size == SEGMENT_BYTES
    await asyncio.sleep(0.06)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    lines = path.read_bytes().rstrip(b"\0").splitlines()
    found = [decode(line) for line in lines]
    assert [(each.seq, each.gateway, each.kind) for each in found] == [
        (1, "g", "feedback"),
        (2, "g", "feedback"),
    ]


def test_log_that_is_off_says_so(tmp_path: Path) -> None:
    with pytest.raises(LogOff, match="The prediction log is off"):
        log_of(tmp_path, enabled=False).append(feedback())


def test_log_without_room_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        GatewayError, match="Feedback cannot be kept: the log has reached its limit"
    ):
        log_of(tmp_path, max_bytes=10, sheds=True).append(feedback())


def test_secrets_are_taken_out_of_texts(tmp_path: Path) -> None:
    secret = "sk-" + "Ab3" * 12
    text = log_of(tmp_path).redact(f"my key {secret} and ada@example.com")
    assert secret not in text
    assert "ada@" not in text
