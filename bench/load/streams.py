"""The stream scenario: 32 streams at a time, each event in a write of its own."""

from bench.load import bodies
from bench.load.meter import Meter
from bench.load.programs import Figures, generator
from bench.load.rig import Rig, Running
from bench.results import StreamSample

CONNECTIONS = 32
WARM_UP_S = 1


def measure(rig: Rig, running: Running | None, round_number: int, seconds: int) -> StreamSample:
    """Warms up, then runs and accounts for the run."""
    port = running.stream_port if running else rig.origin
    relay(port, WARM_UP_S)
    meter = Meter(running)
    figures = relay(port, seconds)
    spent = meter.spent()
    streams = int(figures["streams"])
    return StreamSample(
        proxy=meter.name,
        round=round_number,
        seconds=figures["seconds"],
        streams=streams,
        events=int(figures["events"]),
        first_byte_p50_us=figures["first_byte_p50_us"],
        first_byte_p99_us=figures["first_byte_p99_us"],
        gap_p50_us=figures["gap_p50_us"],
        gap_p99_us=figures["gap_p99_us"],
        gap_max_us=figures["gap_max_us"],
        broken=int(figures["broken"]) + missing(running, figures),
        **spent.per(max(1, streams * bodies.EVENTS)),
    )


def relay(port: int, seconds: int) -> Figures:
    """One run of the generator."""
    with generator("repeat", port, connections=CONNECTIONS, seconds=seconds) as made:
        return made.line()


def missing(running: Running | None, figures: Figures) -> int:
    """Whether events are missing or too many; `[DONE]` is one more a stream.

    A proxy that writes the events anew may merge some, so it is judged by its ends alone.
    """
    if running and running.peer.rewrites:
        return 0
    return int(figures["events"] != figures["streams"] * (bodies.EVENTS + 1))
