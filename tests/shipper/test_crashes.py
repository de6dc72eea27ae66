"""`kill -9` of writers and shippers at random moments: nothing lost, order kept, balance exact."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from gateway.log.figures import LogFigures, read_figures
from gateway.log.verify import verify
from tests.shipper.processes import Child, KillableWriter, ship
from tests.shipper.sinks import delivered_to
from tests.support.waiting import until

ROUNDS = 200 if os.environ.get("RUN_SLOW") else 5

pytestmark = pytest.mark.timeout(600 if os.environ.get("RUN_SLOW") else 60)


class Campaign:
    """One directory, its writers, and a shipper that is started again whenever it was killed."""

    def __init__(self, root: Path, chance: random.Random) -> None:
        self.directory, self.out = root / "log", root / "out"
        self.directory.mkdir(mode=0o700)
        self.out.mkdir()
        self.chance = chance
        self.appended: dict[str, int] = {}
        self._writers = [self._writer(slot) for slot in range(2)]
        self._shipper = self._start_shipper()

    def round(self) -> None:
        """Let them work for a moment, then kill one of them."""
        time.sleep(self.chance.uniform(0.0, 0.06))
        victim = self.chance.randrange(3)
        if victim < 2:
            self._end(self._writers[victim])
            self._writers[victim] = self._writer(victim)
        else:
            self._shipper.kill()
            self.between_shippers()
            self._shipper = self._start_shipper()

    def between_shippers(self) -> None:
        """What else happens while none is there."""

    def finish(self) -> LogFigures:
        """End the writers as `kill -9` does and the shipper in good order; its last figures."""
        for writer in self._writers:
            self._end(writer)
        until((self.out / "ready").exists, 10)
        assert self._shipper.kill(signal.SIGTERM) == 0
        figures = read_figures(self.out / "figures.json", time.time())
        assert figures is not None
        return figures

    def _writer(self, slot: int) -> KillableWriter:
        return KillableWriter(self.directory, f"w{slot}")

    def _start_shipper(self) -> Child:
        (self.out / "ready").unlink(missing_ok=True)
        return Child(lambda: ship(self.directory, self.out))

    def _end(self, writer: KillableWriter) -> None:
        until(lambda: writer.appended, 10)
        writer.child.kill()
        self.appended[writer.stream] = writer.appended


def assert_nothing_is_lost(campaign: Campaign, file: str) -> int:
    """Every stream is there, in order, from its first to its last line; how many lines."""
    delivered = delivered_to(campaign.out / file)
    assert delivered.keys() == campaign.appended.keys()
    for stream, appended in campaign.appended.items():
        firsts = list(dict.fromkeys(delivered[stream]))
        assert firsts == list(range(1, len(firsts) + 1)), f"{file}: {stream} is out of order"
        # Why one more: the line may be there, and the process killed before it said so.
        assert len(firsts) in {appended, appended + 1}, f"{file}: {stream}"
    return sum(len(set(lines)) for lines in delivered.values())


@pytest.fixture
def seed() -> int:
    """Shown where a test fails. Why no parameter: every process must collect the same tests."""
    return random.SystemRandom().randrange(1 << 32)


def test_killing_writers_and_shippers_loses_nothing(tmp_path: Path, seed: int) -> None:
    campaign = Campaign(tmp_path, random.Random(seed))
    for _ in range(ROUNDS):
        campaign.round()
    figures = campaign.finish()
    for sink in figures.sinks:
        assert (sink.waiting, sink.dropped, sink.error) == (0, 0, "")
        count = assert_nothing_is_lost(campaign, sink.name)
        assert (sink.appended, sink.shipped) == (count, count)
    assert figures.appended == figures.sinks[0].appended
    assert figures.error == ""
    assert not list(campaign.directory.glob("w*.ndjson"))
    assert verify(campaign.directory, None).findings == ()


class Forgetful(Campaign):
    """Each time the shipper is down, some of its checkpoints go, or are torn."""

    def between_shippers(self) -> None:
        place = self.directory / "shipper"
        for path in [each for each in place.rglob("w*") if self.chance.random() < 0.5]:
            if self.chance.random() < 0.5:
                path.unlink()
            else:
                path.write_bytes(path.read_bytes()[: self.chance.randrange(60)])
        if self.chance.random() < 0.2:
            shutil.rmtree(place / "lines", ignore_errors=True)


def test_losing_checkpoints_costs_duplicates_only(tmp_path: Path, seed: int) -> None:
    campaign = Forgetful(tmp_path, random.Random(seed))
    for _ in range(ROUNDS):
        campaign.round()
    figures = campaign.finish()
    for sink in figures.sinks:
        assert (sink.waiting, sink.dropped) == (0, 0)
        assert_nothing_is_lost(campaign, sink.name)
        assert sink.appended == sink.shipped
