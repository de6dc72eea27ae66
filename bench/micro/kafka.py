"""Lines of the log packed into Kafka's record batches. Budget: 0.5 us a record of 850 bytes."""

from random import Random

import msgspec

from bench.load.segments import record
from bench.micro.timing import report
from gateway._fast import Packer

LINES = 500
STREAM = "w0-0123456789abcdef"
ROOM = 512 * 1024


def main() -> None:
    """One figure a key: near the line's beginning, and behind its bodies."""
    chance = Random(0)
    data = b"".join(msgspec.json.encode(record(STREAM, chance)) + b"\n" for _ in range(LINES))
    for key in (b"request_id", b"backend"):
        packer = Packer(key, b"/gateway/g", b"application/json", 1 << 20)

        def run(count: int, packer: Packer = packer) -> None:
            for _ in range(count // LINES):
                packer.pack(data, STREAM.encode(), 6, 6, ROOM, 0)

        report(f"kafka/pack_by_{key.decode()}", run, 100 * LINES)


if __name__ == "__main__":
    main()
