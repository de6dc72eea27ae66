"""A shipper with Kafka as its only sink, or that sink alone: the process that is measured.

    python -m bench.load.shipping ship|deliver FOLDER HOST:PORT RECORDS IDLE_S

Prints a line of JSON with what it used: with IDLE_S first for so long without anything to
do, then for the records.
"""

import asyncio
import os
import resource
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct

from gateway.config.recording import Kafka, KafkaCreate
from gateway.run.shipper import spare_memory
from gateway.shipper.kafka import KafkaSink
from gateway.shipper.shipper import Shipper
from gateway.shipper.sink import Batch
from gateway.shipper.upkeep import Rules

PARTITIONS = 6
FLUSH_S = 5.0


class Usage(Struct, frozen=True):
    """What the process used for its records."""

    records: int
    seconds: float
    user_us: float
    system_us: float


def sink_of(address: str, folder: str) -> KafkaSink:
    """As configured by default, with topics of its own."""
    topic = f"bench-{uuid.uuid4().hex[:12]}"
    config = Kafka(
        bootstrap=(address,),
        topic=topic,
        feedback_topic=f"{topic}-feedback",
        create=KafkaCreate(partitions=PARTITIONS),
    )
    return KafkaSink(config, "gateway-1", Path(folder))


async def deliver(sink: KafkaSink, batches: list[Batch]) -> None:
    """Give the sink what is there."""
    await sink.deliver(batches[0])
    before = usage_now(0)
    for batch in batches[1:]:
        await sink.deliver(batch)
    tell(before, sum(batch.records for batch in batches[1:]))
    await sink.close(1.0)


async def deliver_all(folder: str, address: str) -> None:
    """The same, of a folder."""
    sink = sink_of(address, folder)
    paths = sorted(Path(folder).iterdir())  # noqa: ASYNC240  nothing else runs yet
    await deliver(sink, [batch for path in paths for batch in batches_of(path, sink)])


def batches_of(path: Path, sink: KafkaSink) -> Iterator[Batch]:
    """The lines of a segment, as many at once as the sink takes."""
    data, begin = path.read_bytes(), 0
    while begin < len(data):
        end = data.rfind(b"\n", begin, begin + sink.batch_bytes) + 1
        lines = data[begin:end]
        yield Batch(
            stream=path.name[:19],
            segment=path.stem,
            records=lines.count(b"\n"),
            first_seq=1,
            last_seq=1,
            data=lines,
        )
        begin = end


async def ship(folder: str, address: str, records: int, idle_s: float) -> None:
    """Ship it; say what that took."""
    rules = Rules(max_bytes=2**40, drops_oldest=False, sync_s=0.05)
    shipper = Shipper(Path(folder), rules, figures=Path(folder, "figures.json"))
    ended = asyncio.Event()
    before = usage_now(0)
    await shipper.use({"kafka": sink_of(address, folder)})
    running = asyncio.create_task(shipper.run(ended, 5.0))
    if idle_s:
        while shipped(shipper) < 1:
            await asyncio.sleep(0.1)
        before = usage_now(0)
        await asyncio.sleep(idle_s)
        before = tell(before, 1)
    while shipped(shipper) < records:
        await asyncio.sleep(0.1)
    tell(before, records)
    ended.set()
    await running
    await shipper.close()


def shipped(shipper: Shipper) -> int:
    return sum(sink.shipped for sink in shipper.figures().sinks)


def usage_now(records: int) -> Usage:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(records, time.monotonic(), used.ru_utime * 1e6, used.ru_stime * 1e6)


def tell(before: Usage, records: int) -> Usage:
    """Print what was used since; the new beginning."""
    now = usage_now(records)
    since = Usage(
        records,
        now.seconds - before.seconds,
        now.user_us - before.user_us,
        now.system_us - before.system_us,
    )
    print(msgspec.json.encode(since).decode(), flush=True)
    return now


def main() -> None:
    """One task."""
    task, folder, address, records, idle_s = sys.argv[1:]
    spare_memory(os.environ)
    if task == "ship":
        uvloop.run(ship(folder, address, int(records), float(idle_s)))
    else:
        uvloop.run(deliver_all(folder, address))


if __name__ == "__main__":
    main()
