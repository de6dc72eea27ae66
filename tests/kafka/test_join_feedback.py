"""The example consumer, run as a program against a real broker."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from gateway.threads import in_thread
from tests.kafka.lines import batch_of, feedback, record, settings, sink_for
from tests.support.kafka import new_topic
from tests.support.kafka_broker import Address

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "join_feedback.py"


NOW = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("join_feedback", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), "--stop-at-end", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


async def test_signals_find_their_predictions_once(kafka: Address, tmp_path: Path) -> None:
    topic = new_topic()
    lines = [
        feedback(1, about="request-7", id="early"),
        *(record(seq, backend="mini", time=NOW) for seq in range(2, 10)),
        feedback(
            10,
            about="w1-0123456789abcdef.3",
            signal="score",
            value=msgspec.Raw(b"0.25"),
            id="by-id",
        ),
        feedback(11, about="request-7", signal="accept", id="late"),
        feedback(12, about="nobody", id="lost"),
    ]
    async with sink_for(settings(kafka.plain, topic), tmp_path) as sink:
        await sink.deliver(batch_of(lines))
        await sink.deliver(batch_of(lines))  # as after a crash
    options = ["--bootstrap", kafka.plain, "--topic", topic, "--since", "100000"]
    options += ["--feedback-topic", f"{topic}-feedback"]
    done = await in_thread(lambda: run(*options), name="example")
    assert done.returncode == 0, done.stderr
    found = {each["feedback_id"]: each for each in map(json.loads, done.stdout.splitlines())}
    assert len(done.stdout.splitlines()) == 3
    assert set(found) == {"early", "by-id", "late"}
    assert found["by-id"] == found["by-id"] | {
        "record_id": "w1-0123456789abcdef.3",
        "request_id": "request-3",
        "backend": "mini",
        "signal": "score",
        "value": 0.25,
    }
    assert found["early"]["request_id"] == found["late"]["request_id"] == "request-7"


async def test_missing_topic_is_a_sentence(kafka: Address) -> None:
    topic = new_topic()
    done = await in_thread(
        lambda: run("--bootstrap", kafka.plain, "--topic", topic), name="example"
    )
    assert done.returncode == 1
    assert f"there is no topic {topic}" in done.stderr


def prediction(seq: int) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(record(seq))
    return read


def signal(seq: int, about: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(feedback(seq, about=about))
    return read


def test_memory_is_bounded_by_the_window(example: ModuleType) -> None:
    join = example.Join(window=10)
    for seq in range(1, 1000):
        assert join.is_new(str(seq))
        assert not list(join.add_prediction(prediction(seq)))
        assert not list(join.add_feedback(signal(seq, f"other-{seq}")))
    assert (len(join.seen), len(join.predictions), len(join.early)) == (20, 20, 10)
    assert not join.is_new("999")
    assert join.is_new("1")


def test_signal_that_was_there_first_waits_for_its_prediction(example: ModuleType) -> None:
    join = example.Join(window=10)
    assert not list(join.add_feedback(signal(1, "request-5")))
    assert not list(join.add_feedback(signal(2, "request-5")))
    assert [each["feedback_id"] for each in join.add_prediction(prediction(5))] == [
        "feedback-1",
        "feedback-2",
    ]
    assert not join.early
