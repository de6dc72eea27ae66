"""Memory per connection: resident memory with n of them, less that without, over n.

Idle connections have served one request each and are kept alive. Open streams send one
event a second; a side stream with one every 4 ms shows how long the loop stands still,
and the same generator straight at the origin shows how much of that is the rig's own.

Why RSS and not the heap: it is what the machine must have. The kernel's socket buffers
are not in it, for no proxy.
"""

import time

from bench.load import accounting
from bench.load.meter import Meter
from bench.load.programs import Generator, generator
from bench.load.rig import SPARE_FILES, Rig, Running, open_files
from bench.results import MemorySample

SLOW_GAP_US = 1_000_000
SETTLE_S = 1.0


def affordable(connections: int) -> int:
    """As many of the wanted connections as a proxy may hold open, which is two sockets each.

    Idle ones take a single socket, but HAProxy counts two all the same.
    """
    return min(connections, (open_files() - 2 * SPARE_FILES) // 2)


def idle(rig: Rig, running: Running | None, connections: int) -> MemorySample:
    """Kept-alive connections that say nothing."""
    connections = affordable(connections)
    meter = Meter(running)
    before = accounting.resident_bytes(meter.traffic)
    port = running.port if running else rig.backends[0]
    with generator("idle", port, connections=connections, seconds=60) as made:
        made.line()
        time.sleep(SETTLE_S)
        after = accounting.resident_bytes(meter.traffic)
        broken = int(made.finish()["broken"])
    return MemorySample(
        proxy=meter.name,
        kind="idle",
        connections=connections,
        before_bytes=before,
        after_bytes=after,
        broken=broken,
    )


def streams(rig: Rig, running: Running | None, connections: int, seconds: float) -> MemorySample:
    """Open streams, and the largest stall while they run."""
    connections = affordable(connections)
    meter = Meter(running)
    before = accounting.resident_bytes(meter.traffic)
    port = running.stream_port if running else rig.origin
    wishes = {"events": 600, "gap_us": SLOW_GAP_US, "seconds": seconds + 30}
    with generator("hold", port, connections=connections, **wishes) as made:
        made.line()
        return held(made, meter, before, (connections, seconds))


def held(made: Generator, meter: Meter, before: int, wish: tuple[int, float]) -> MemorySample:
    """The sample of streams that are all open by now."""
    connections, seconds = wish
    meter.restart()  # Why: opening the connections is not part of relaying their events.
    time.sleep(seconds)
    spent, after = meter.spent(), accounting.resident_bytes(meter.traffic)
    figures = made.finish()
    each = spent.per(max(1, int(figures["events"])))
    return MemorySample(
        proxy=meter.name,
        kind="stream",
        connections=connections,
        before_bytes=before,
        after_bytes=after,
        user_us=each["user_us"],
        system_us=each["system_us"],
        stall_us=figures["gap_max_us"],
        broken=int(figures["broken"]),
    )
