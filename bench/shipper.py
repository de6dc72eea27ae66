"""CPU of the shipper per record, from segments on disk to a real Kafka broker.

    python -m bench.shipper [--records N] [--profile FILE]

The shipper is a process of its own with Kafka as its only sink: it reads, seals (and hashes)
segments, packs, compresses, sends, and keeps checkpoints, as it does in service. The broker
is the one that GATEWAY_TEST_KAFKA=host:port names, else one of Apache's jars.

    sink      the sink alone, which is given batches as the shipper makes them
    backlog   everything is there when it starts
    live      a writer appends a fixed number a second; what the shipper uses while idle,
              measured before, is not counted

Rule: figures are of the whole process, every thread of it, by getrusage.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bench.load.peers import ROOT
from bench.load.rig import Unavailable
from bench.load.segments import Writer
from bench.results import Kernel

RECORDS = 300_000
LIVE_PER_S, LIVE_S, IDLE_S = 5_000, 5, 3
PATIENCE_S = 180


class Usage(Struct, frozen=True):
    """What the shipper says it used."""

    records: int
    seconds: float
    user_us: float
    system_us: float

    @property
    def us_each(self) -> float:
        """CPU per record."""
        return (self.user_us + self.system_us) / self.records


def run(
    core: str, say: Callable[[str], None], records: int = RECORDS
) -> tuple[list[Kernel], dict[str, str]]:
    """The rows for the report, and a sentence where there is no broker."""
    try:
        with broker() as address:
            kernels = [
                Kernel(f"shipper/kafka_{name}", usage.us_each * 1e3)
                for name, usage in scenarios(address, records, core)
            ]
    except Unavailable as error:
        return [], {"shipper": str(error)}
    for kernel in kernels:
        say(f"{kernel.name:46} {kernel.ns:10.1f} ns")
    return kernels, {}


def scenarios(
    address: str, records: int, core: str, profile: str = ""
) -> Iterator[tuple[str, Usage]]:
    """Each scenario and its figure."""
    yield "sink", backlog(address, records, core, task="deliver")
    yield "backlog", backlog(address, records, core, profile)
    yield f"live_{LIVE_PER_S}_per_s", live(address, core)


@contextmanager
def broker() -> Iterator[str]:
    """The address of a broker that runs meanwhile; Unavailable says why there is none."""
    given = os.environ.get("GATEWAY_TEST_KAFKA")
    if given:
        yield given
        return
    try:
        from tests.support.kafka_broker import Broker  # noqa: PLC0415
        from tests.support.kafka_jars import KafkaUnavailable  # noqa: PLC0415
    except ImportError as error:
        raise Unavailable(f"the shipper wants the packages of the tests ({error.name})") from None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            made = stack.enter_context(Broker(folder, heap=["-Xms512m", "-Xmx512m"]))
        except KafkaUnavailable as error:
            raise Unavailable(str(error)) from None
        yield made.bootstrap


# -- scenarios


def backlog(address: str, records: int, core: str, profile: str = "", task: str = "ship") -> Usage:
    """Segments that are closed, and who ships them starts."""
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder))
        writer.append(records)
        writer.close()
        with (
            child(folder, address, records, core, task=task) as shipper,
            profiler(shipper.pid, profile),
        ):
            return usage_line(shipper)


def live(address: str, core: str) -> Usage:
    """A writer that goes on, less what an idle shipper uses."""
    count = LIVE_PER_S * LIVE_S
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder))
        writer.append(1)
        with child(folder, address, count + 1, core, idle_s=IDLE_S) as shipper:
            idle = usage_line(shipper)
            began = time.monotonic()
            for step in range(LIVE_S * 100):
                writer.append(LIVE_PER_S // 100)
                time.sleep(max(0.0, began + (step + 1) / 100 - time.monotonic()))
            writer.close()
            used = usage_line(shipper)
    share = used.seconds / idle.seconds
    return replace(
        used,
        user_us=used.user_us - idle.user_us * share,
        system_us=used.system_us - idle.system_us * share,
    )


@contextmanager
def child(
    folder: str, address: str, records: int, core: str, *, task: str = "ship", idle_s: float = 0
) -> Iterator["subprocess.Popen[str]"]:
    """A shipper of the folder's segments, or its sink alone, for so many records."""
    command = ["taskset", "-c", core, sys.executable, "-m", "bench.load.shipping", task]
    command += [folder, address, str(records), str(idle_s)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def profiler(pid: int, file: str) -> Iterator[None]:
    """py-spy watches the child, where a file is named."""
    if not file:
        yield
        return
    command = ["py-spy", "record", "-n", "-f", "raw", "-r", "500", "-o", file, "-p", str(pid)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as spy:
        yield
        spy.wait(PATIENCE_S)


def usage_line(process: "subprocess.Popen[str]") -> Usage:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise Unavailable("the shipper ended before it had shipped everything")
    return msgspec.json.decode(line, type=Usage)


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="bench.shipper", description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--profile", default="", help="a file for py-spy's raw profile")
    asked = parser.parse_args()
    try:
        with broker() as address:
            for name, used in scenarios(address, asked.records, "0", asked.profile):
                rate = used.records / used.seconds
                print(
                    f"{name:22} {used.us_each:6.2f} us a record"
                    f" (user {used.user_us / used.records:.2f},"
                    f" system {used.system_us / used.records:.2f}), {rate:,.0f} a second"
                )
    except Unavailable as error:
        print(f"bench.shipper: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
