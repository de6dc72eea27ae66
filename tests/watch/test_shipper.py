"""The shipper as a process, killed at random moments: every line counts once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.compiler import compile_plan
from gateway.config import parse
from gateway.log.figures import FILE_NAME, read_figures
from gateway.messages import Delivery
from gateway.offers import keep_offer, offer_of
from gateway.run.child import ShipperPost, command
from gateway.watch.changes import Key
from gateway.watch.kept import FILE, Kept
from tests.shipper.segments import SegmentWriter
from tests.support.waiting import until
from tests.watch.lines import basis_of, placed, single_pass

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0
KILLS = 12 if os.environ.get("RUN_SLOW") else 1
BASIS = basis_of()

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


class Rig:
    """A state directory, an offer in it, and a shipper that is started again and again."""

    def __init__(self, state: Path) -> None:
        self.state, self.plan = state, state / "run" / "plan"
        self.plan.parent.mkdir(parents=True)
        (state / "iris.json").write_bytes(BASIS.reference.encode())
        settings: dict[str, Any] = {
            "state": str(state),
            "workers": 1,
            "backends": {"b": {"protocol": "openai", "url": "http://127.0.0.1:9/v1"}},
            "routes": {"iris": {"backends": ["b"]}},
            "log": {"store": {"enabled": False}, "stdout": True},
            "drift": {
                "references": {"then": {"kind": "training", "file": str(state / "iris.json")}},
                "rules": {"inputs": {"reference": "then"}},
            },
        }
        document = parse(json.dumps(settings), {})
        keep_offer(self.plan, offer_of(document, compile_plan(document), 1, Delivery()))

    def start(self) -> subprocess.Popen[bytes]:
        post = ShipperPost(
            ready=os.open(os.devnull, os.O_WRONLY),
            plan=self.plan,
            supervisor=os.getpid(),
            log_format="text",
            log_level="warning",
        )
        os.set_inheritable(post.ready, True)
        process = subprocess.Popen(
            command(post), pass_fds=(post.ready,), cwd=ROOT, stdout=subprocess.DEVNULL
        )
        os.close(post.ready)
        return process

    def pid(self) -> int:
        """Of the shipper that told of itself."""
        figures = read_figures(self.plan.with_name(FILE_NAME), time.time())
        return figures.pid if figures else 0

    def marked(self) -> int:
        """Lines that are counted for good."""
        return sum(Kept(self.state / FILE).load()[0].marks.values())

    def on_disk(self) -> dict[Key, bytes]:
        kept = Kept(self.state / FILE)
        return {key: kept.value(key) or b"" for key in kept.load()[1]}


def written(writer: SegmentWriter, count: int) -> list[bytes]:
    now = int(time.time() // 60)
    lines = []
    for _ in range(count):
        seq = writer.seq + 1
        features = {"x": seq / 7 - 3, "c": "abc"[seq % 3]}
        line = placed(features, stream=writer.stream, seq=seq, minute=now - seq % 5)
        writer.append_line(line.rstrip(b"\n"))
        lines.append(line)
    return lines


def test_a_shipper_that_is_killed_counts_every_line_once(tmp_path: Path) -> None:
    rig, chance = Rig(tmp_path / "state"), random.Random(7)
    writers = [SegmentWriter(rig.state / "log", name, 1 << 16) for name in ("w0", "w1")]
    lines: list[bytes] = []
    for _ in range(KILLS):
        process, before = rig.start(), rig.marked()
        while rig.marked() == before:  # then it is at work
            for writer in writers:
                lines += written(writer, chance.randint(1, 40))
            time.sleep(0.02)
        time.sleep(chance.uniform(0.0, 1.2))
        process.kill()
        process.wait()
    process = rig.start()
    until(lambda: rig.pid() == process.pid and rig.marked() == len(lines), PATIENCE_S)
    for writer in writers:
        lines += written(writer, 10)
        writer.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert rig.on_disk() == single_pass(lines, [BASIS])
    told = Kept(rig.state / FILE).told()[""]
    assert told["counted"] == len(lines)
    assert set(told) <= {"counted", "duplicate"}
