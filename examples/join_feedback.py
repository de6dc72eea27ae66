"""Joins predictions with the feedback on them, from the two topics that the gateway writes.

    python examples/join_feedback.py --bootstrap localhost:9092 --since 24

For each signal whose prediction is known it prints one line of JSON, whichever came first. It
reads the last `--since` hours and then goes on; it keeps nothing, so started again it reads
the same hours again and prints the same pairs again. Whoever stores them does so by
`(record_id, feedback_id)`, which never repeats for another pair.

The gateway delivers at least once: a message that comes again has the same `ce_id`, and is
passed over here. What is remembered is bounded by `--window` messages of each kind.

Needs: pip install aiokafka cramjam
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

Json = dict[str, Any]


class Window(OrderedDict[str, Any]):
    """The latest so many entries."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def put(self, key: str, value: Any) -> None:
        """Remember, and forget the oldest where there are too many."""
        self[key] = value
        if len(self) > self.size:
            self.popitem(last=False)


class Join:
    """Predictions and signals as they come, in any order and more than once."""

    def __init__(self, window: int) -> None:
        self.seen = Window(2 * window)  # ce_id
        self.predictions = Window(2 * window)  # by id, and by request id
        self.early = Window(window)  # signals without a prediction yet, by what they name

    def is_new(self, event_id: str) -> bool:
        """Whether the message is no duplicate of one before."""
        if event_id in self.seen:
            return False
        self.seen.put(event_id, None)
        return True

    def add_prediction(self, record: Json) -> Iterator[Json]:
        """Pairs with the signals that were there before."""
        for name in {record["id"], record["request_id"]}:
            self.predictions.put(name, record)
            for feedback in self.early.pop(name, ()):
                yield pair(record, feedback)

    def add_feedback(self, feedback: Json) -> Iterator[Json]:
        """A pair, where its prediction is known; a signal names its id or its request id."""
        name = feedback["request_id"]
        if name in self.predictions:
            yield pair(self.predictions[name], feedback)
        else:
            self.early.put(name, [*self.early.get(name, ()), feedback])


def pair(record: Json, feedback: Json) -> Json:
    """What most evaluations need of both."""
    return {
        "record_id": record["id"],
        "feedback_id": feedback["id"],
        "request_id": record["request_id"],
        "time": record["time"],
        "route": record.get("route", ""),
        "backend": record.get("backend", ""),
        "version": record.get("version", ""),
        "outcome": record["outcome"],
        "cost_usd": record.get("cost_usd", 0.0),
        "signal": feedback["signal"],
        "value": feedback.get("value"),
    }


async def run(asked: argparse.Namespace) -> None:
    """Read, join, print."""
    join = Join(asked.window)
    consumer = AIOKafkaConsumer(bootstrap_servers=asked.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        ends = await begin(consumer, (asked.topic, asked.feedback_topic), asked.since)
        while not asked.stop_at_end or await is_before(consumer, ends):
            batches = await consumer.getmany(timeout_ms=500)
            for message in (message for batch in batches.values() for message in batch):
                for found in joined(join, message, asked.feedback_topic):
                    print(json.dumps(found), flush=True)
    finally:
        await consumer.stop()


def joined(join: Join, message: Any, feedback_topic: str) -> Iterator[Json]:
    """The pairs that a message completes."""
    if not join.is_new(dict(message.headers)["ce_id"].decode()):
        return
    value = json.loads(message.value)
    if message.topic == feedback_topic:
        yield from join.add_feedback(value)
    else:
        yield from join.add_prediction(value)


async def begin(
    consumer: AIOKafkaConsumer, topics: tuple[str, ...], since_hours: float
) -> dict[TopicPartition, int]:
    """Take every partition from that time on; where each ends now."""
    # Why first: a broker may create a topic that is subscribed to.
    known = await consumer.topics()
    for topic in topics:
        if topic not in known:
            sys.exit(f"there is no topic {topic} at these brokers")
    consumer.subscribe(topics)
    while not (places := consumer.assignment()):
        await asyncio.sleep(0.05)
    since_ms = int((time.time() - since_hours * 3600) * 1000)
    starts = await consumer.offsets_for_times(dict.fromkeys(places, since_ms))
    ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
    for place in places:
        found = starts[place]
        consumer.seek(place, found.offset if found else ends[place])
    return ends


async def is_before(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    """Whether there is something left of what was there at the begin."""
    return any([await consumer.position(place) < end for place, end in ends.items()])


def main() -> None:
    """Until it is interrupted, or the end with --stop-at-end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bootstrap", default="localhost:9092", help="a broker")
    parser.add_argument("--topic", default="gateway.records")
    parser.add_argument("--feedback-topic", default="gateway.feedback")
    parser.add_argument("--since", type=float, default=24.0, help="hours to look back")
    parser.add_argument("--window", type=int, default=500_000, help="messages to remember")
    parser.add_argument("--stop-at-end", action="store_true", help="do not wait for more")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
