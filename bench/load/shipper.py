"""The process that ships the prediction log: what a turn's records cost it.

It works while requests are answered and goes on behind them, so it is read before the turn
and again when it has come to rest; the next proxy is not asked before that. Readings at
rest are exact: its own figures, which are a second old at most, have caught up.

Rule: warm-up and run are one, for records and CPU time alike.
"""

import time
from pathlib import Path

from bench.load import accounting
from bench.load.rig import Running, Unavailable
from bench.results import Shipping
from gateway.log.figures import FILE_NAME, LogFigures, read_figures

PATIENCE_S = 30.0
LOOK_S = 0.2
CALM_SHARE = 0.15  # of a core; upkeep and syncs of a log that nobody writes take a few percent
CALM_LOOKS = 2


class Shipper:
    """Reads one proxy's shipper, from now on; of a proxy without one there is nothing to read."""

    def __init__(self, running: Running | None) -> None:
        self.pids = running.shipper_pids() if running else []
        self.figures_file = (running.scratch if running else Path()) / "state" / "run" / FILE_NAME
        if self.pids:
            self.before = self.figures()
            self.before_us = self.cpu_us()

    def shipping(self) -> Shipping | None:
        """What it did since; returns when it rests."""
        if not self.pids:
            return None
        is_settled = self.settle()
        used_us, after = self.cpu_us() - self.before_us, self.figures()
        if used_us < 0:
            raise Unavailable("the shipper died while it was measured")
        return Shipping(
            sinks=tuple(sink.name for sink in after.sinks),
            appended=after.appended - self.before.appended,
            shipped=shipped(after) - shipped(self.before),
            dropped=dropped(after) - dropped(self.before),
            cpu_us=used_us,
            unsettled=not is_settled,
        )

    def cpu_us(self) -> float:
        """What it has used so far."""
        return accounting.cpu_time(self.pids).total_us

    def settle(self) -> bool:
        """Waits until it has nothing to do; False when that takes too long."""
        deadline_s = time.monotonic() + PATIENCE_S
        calm = 0
        before_us = self.cpu_us()
        while time.monotonic() < deadline_s:
            time.sleep(LOOK_S)
            now_us = self.cpu_us()
            calm = calm + 1 if now_us - before_us < CALM_SHARE * LOOK_S * 1e6 else 0
            before_us = now_us
            if calm >= CALM_LOOKS:
                return True
        return False

    def figures(self) -> LogFigures:
        """What it says of itself, not before now."""
        asked_s = time.time()
        while time.time() < asked_s + PATIENCE_S:
            found = read_figures(self.figures_file, time.time())
            if found and found.at_s >= asked_s:
                return found
            time.sleep(LOOK_S / 4)
        raise Unavailable("the shipper says nothing of itself any more")


def shipped(figures: LogFigures) -> int:
    """Records that every sink has."""
    return min((sink.shipped for sink in figures.sinks), default=0)


def dropped(figures: LogFigures) -> int:
    """Records that some sink never got."""
    return max((sink.dropped for sink in figures.sinks), default=0)
