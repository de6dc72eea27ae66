"""The real writer and the real sealer, killed at random moments."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from gateway.log.lines import place_of
from gateway.log.names import list_segments
from gateway.log.sealer import Sealer
from gateway.log.verify import verify

ROUNDS = 100 if os.environ.get("RUN_SLOW") else 4


class Process:
    """One of `tests.log.killed`, and the lines it printed."""

    def __init__(self, role: str, directory: Path) -> None:
        arguments = [sys.executable, "-m", "tests.log.killed", role, str(directory)]
        self.printed: list[str] = []
        self._process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.printed.extend(text for text in self._process.stdout if text.endswith("\n"))

    def wait_until_it_works(self) -> None:
        deadline = time.monotonic() + 20
        while not self.printed and time.monotonic() < deadline:
            time.sleep(0.005)
        assert self.printed

    def kill(self) -> list[str]:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return self.printed


def test_every_line_that_was_answered_is_sealed_once_whoever_is_killed(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    directory.mkdir()
    chance = random.Random()
    running = {role: Process(role, directory) for role in ("writer", "sealer")}
    answered: list[str] = []
    for _ in range(ROUNDS):
        for process in running.values():
            process.wait_until_it_works()
        time.sleep(chance.random() * 0.1)
        role = chance.choice(["writer", "sealer"])
        printed = running[role].kill()
        answered += printed if role == "writer" else []
        running[role] = Process(role, directory)
    answered += running.pop("writer").kill()
    running.pop("sealer").kill()
    sealer = Sealer(directory)
    sealer.seal_ready()

    assert sealer.problem == ""
    sealed: Counter[tuple[str, int]] = Counter()
    for name, path in list_segments(directory):
        assert name.state in {"sealed", "new"}
        if name.state == "sealed":
            places = [place_of(text) for text in path.read_bytes().splitlines()]
            sealed.update((place.stream, place.seq) for place in places)
    told = {(text.split()[0], int(text.split()[1])) for text in answered}
    assert len(told) > ROUNDS
    assert told <= sealed.keys()
    assert set(sealed.values()) == {1}
    report = verify(directory)
    assert report.findings == ()
    assert report.records == len(sealed)
