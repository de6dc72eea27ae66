"""The sink: what was delivered is on disk, once; nothing that is wrong holds up the log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.config import Config, Duration
from gateway.config.schema import Route
from gateway.config.watching import Drift, DriftAlerts, DriftConsumer, DriftReference, DriftRule
from gateway.run.counting import WATCH, counted_lines, watched_of
from gateway.shipper.sink import Batch, SinkError
from gateway.watch.basis import DIRECTORY, BasisFiles, bases_of
from gateway.watch.changes import Changes, Key
from gateway.watch.kept import BACKFILL, FILE, Kept
from gateway.watch.sink import GIVE_UP_S, Watched, WatchSink
from gateway.watch.tally import Tally
from tests.watch.lines import NOW, basis_of, placed, single_pass, stream_of

BASIS = basis_of()
Make = Callable[..., WatchSink]


class Clock:
    def __init__(self) -> None:
        self.now_s = NOW * 60.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Make:
    (tmp_path / "iris.json").write_bytes(BASIS.reference.encode())

    def make(kind: Any = "training") -> WatchSink:
        reference = DriftReference(kind=kind, file=str(tmp_path / "iris.json"))
        drift = Drift(references={"r": reference}, rules={"inputs": DriftRule(reference="r")})
        return WatchSink(
            Watched(drift=drift, routes=("iris",), state=tmp_path, log=tmp_path / "log"),
            now_s=clock,
        )

    return make


def batch_of(lines: list[bytes], stream: str = "w0-a", damage: bytes = b"") -> Batch:
    seqs = [json.loads(line)["seq"] for line in lines]
    return Batch(
        stream=stream,
        segment="s",
        records=len(lines),
        first_seq=seqs[0],
        last_seq=seqs[-1],
        data=lines[0] + damage + b"".join(lines[1:]),
    )


def on_disk(path: Path) -> dict[Key, bytes]:
    kept = Kept(path / FILE)
    return {key: kept.value(key) or b"" for key in kept.load()[1]}


def test_what_was_delivered_is_on_disk_once(make: Make, tmp_path: Path) -> None:
    lines = stream_of("w0-a", 100)

    async def deliver() -> None:
        sink = make()
        await sink.deliver(batch_of(lines[:60]))
        await sink.deliver(batch_of(lines[:60]))
        assert on_disk(tmp_path) == single_pass(lines[:60], [BASIS])
        again = make()  # nothing of the first is needed
        await again.deliver(batch_of(lines[40:]))
        await again.close(1)

    asyncio.run(deliver())
    assert on_disk(tmp_path) == single_pass(lines, [BASIS])
    assert Kept(tmp_path / FILE).told()[""] == {"counted": 100, "duplicate": 20}


@pytest.mark.parametrize("seed", range(5))
def test_a_failure_anywhere_counts_nothing_twice(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance, lines = random.Random(seed), stream_of("w0-a", 200)
    save = Kept.save

    def failing(self: Kept, changes: Any) -> None:
        fate = chance.random()
        if fate < 0.3:
            raise OSError(28, "No space left on device")
        save(self, changes)
        if fate < 0.6:
            raise OSError(5, "Input/output error")  # it is on disk all the same

    monkeypatch.setattr(Kept, "save", failing)

    async def deliver() -> None:
        sink, at = make(), 0
        while at < len(lines):
            size = chance.randint(1, 40)
            with contextlib.suppress(SinkError):
                await sink.deliver(batch_of(lines[at : at + size]))
                at += size

    asyncio.run(deliver())
    assert on_disk(tmp_path) == single_pass(lines, [BASIS])


def test_a_batch_that_cannot_be_counted_is_passed_over(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    count, lines = Tally.count, stream_of("w0-a", 30)

    def defective(self: Tally, data: bytes, now_minute: int) -> int:
        taken = count(self, data, now_minute)
        if b'"seq":15,' in data:
            raise ZeroDivisionError
        return taken

    monkeypatch.setattr(Tally, "count", defective)

    async def deliver() -> None:
        sink = make()
        for begin in (0, 10, 20):
            await sink.deliver(batch_of(lines[begin : begin + 10]))
        assert sink.dead_letters == 10

    asyncio.run(deliver())
    assert on_disk(tmp_path) == single_pass(lines[:10] + lines[20:], [BASIS])
    assert Kept(tmp_path / FILE).told()[""] == {"counted": 20, "defect": 10}
    assert "by a defect" in caplog.text
    (sample,) = (tmp_path / "drift/quarantine.ndjson").read_bytes().splitlines()
    assert json.loads(json.loads(sample)["line"])["seq"] == 11


def test_damaged_lines_are_told_and_a_few_are_kept(make: Make, tmp_path: Path) -> None:
    lines = stream_of("w0-a", 10)
    asyncio.run(make().deliver(batch_of(lines, damage=b'{"torn": \n\xff\xfe\n')))
    assert on_disk(tmp_path) == single_pass(lines, [BASIS])
    assert Kept(tmp_path / FILE).told()[""] == {"counted": 10, "malformed": 2}
    kept = [
        json.loads(one) for one in (tmp_path / "drift/quarantine.ndjson").read_bytes().splitlines()
    ]
    assert [one["line"] for one in kept] == ['{"torn": ', "\ufffd\ufffd"]


def test_fields_are_learned_and_then_counted(make: Make, tmp_path: Path, clock: Clock) -> None:
    lines = stream_of("w0-a", 10_050)

    async def deliver() -> None:
        sink = make("last_week")
        for begin in range(0, 10_050, 2010):
            await sink.deliver(batch_of(lines[begin : begin + 2010]))

    asyncio.run(deliver())
    reference = DriftReference(kind="last_week")
    drift = Drift(references={"r": reference}, rules={"inputs": DriftRule(reference="r")})
    (basis,) = bases_of(drift, ("iris",), BasisFiles(tmp_path / DIRECTORY)).all
    assert basis.reference.rows == 10_000
    found = on_disk(tmp_path)
    assert {key.basis for key in found} == {basis.name}


def test_a_damaged_file_is_put_aside(make: Make, tmp_path: Path) -> None:
    lines = stream_of("w0-a", 20)
    (tmp_path / "drift").mkdir()
    (tmp_path / FILE).write_bytes(b"not a database " * 1000)

    async def deliver() -> None:
        sink = make()
        with pytest.raises(SinkError, match="not a database"):
            await sink.deliver(batch_of(lines))
        await sink.deliver(batch_of(lines))

    asyncio.run(deliver())
    assert on_disk(tmp_path) == single_pass(lines, [BASIS])
    assert list((tmp_path / "drift").glob("*.damaged-*"))


def test_what_cannot_be_written_holds_up_the_log_for_a_bounded_time(
    make: Make, tmp_path: Path, clock: Clock
) -> None:
    lines = stream_of("w0-a", 20)
    (tmp_path / "drift").write_text("no directory")

    async def deliver() -> None:
        sink = make()
        with pytest.raises(SinkError):
            await sink.deliver(batch_of(lines[:10]))
        clock.now_s += GIVE_UP_S
        await sink.deliver(batch_of(lines[:10]))
        assert sink.dead_letters == 10
        (tmp_path / "drift").unlink()
        await sink.deliver(batch_of(lines[10:]))
        assert sink.dead_letters == 10

    asyncio.run(deliver())
    assert on_disk(tmp_path) == single_pass(lines[10:], [BASIS])


def test_closing_waits_for_what_is_under_way(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, save = threading.Event(), threading.Event(), Kept.save

    def slow(self: Kept, changes: Any) -> None:
        begun.set()
        go_on.wait(5)
        save(self, changes)

    monkeypatch.setattr(Kept, "save", slow)

    async def deliver() -> None:
        sink = make()
        task = asyncio.create_task(sink.deliver(batch_of(stream_of("w0-a", 5))))
        await asyncio.to_thread(begun.wait, 5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        await sink.close(5)

    asyncio.run(deliver())
    assert Kept(tmp_path / FILE).load()[0].marks == {"w0-a": 5}


def test_without_any_basis_lines_are_told(make: Make, tmp_path: Path) -> None:
    (tmp_path / "iris.json").unlink()
    asyncio.run(make().deliver(batch_of([placed({"x": 1.0})])))
    assert Kept(tmp_path / FILE).told()[""] == {"unwatched": 1}


def test_what_became_of_lines_is_told_whoever_counted_them(tmp_path: Path) -> None:
    assert counted_lines(tmp_path) == {}
    for part in ("", BACKFILL):
        kept = Kept(tmp_path / FILE, part)
        kept.save(Changes(told={"counted": 3}))
        kept.close()
    assert counted_lines(tmp_path) == {"counted": 6}
    (tmp_path / FILE).write_bytes(b"not a database " * 1000)
    assert counted_lines(tmp_path) == {}


@pytest.mark.parametrize(
    "drift, is_wanted",
    [
        (Drift(rules={"a": DriftRule(reference="r")}), True),
        (Drift(rules={"a": DriftRule()}), False),
        (Drift(rules={"a": DriftRule(reference="r", test="adwin")}), False),
        (Drift(rules={"a": DriftRule(reference="r")}, enabled=False), False),
        (
            Drift(rules={"a": DriftRule(reference="r")}, consumer=DriftConsumer(source="kafka")),
            False,
        ),
    ],
)
def test_the_sink_is_there_where_a_rule_looks_at_counts(drift: Drift, is_wanted: bool) -> None:
    config = Config(backends={}, routes={"iris": Route(backends=("b",))}, drift=drift)
    assert (WATCH in watched_of(config)) is is_wanted
    told = msgspec.structs.replace(drift, alerts=DriftAlerts(repeat=Duration(1)))
    assert watched_of(msgspec.structs.replace(config, drift=told)) == watched_of(config)
