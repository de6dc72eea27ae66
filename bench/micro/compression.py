"""Packs of Kafka's records compressed as the sink does. Budget: 1.5 us a record of 1,100 bytes."""

from collections.abc import Callable

from bench.load.segments import lines_of
from bench.micro.timing import report
from gateway._fast import Packer
from gateway.shipper.kafka_batch import CODECS

STREAM = "w0-0123456789abcdef"
ROOM = 512 * 1024
PARTITIONS = 6


def main() -> None:
    """Each codec on full packs (a backlog), zstd on small ones too (50 ms of 5,000 a second)."""
    lines = [
        front % (seq, seq) + back for seq, (front, back) in enumerate(lines_of(STREAM), start=1)
    ]
    for codec, (_, compress) in CODECS.items():
        if compress is not None:
            measure(f"kafka/compress_{codec}", compress, lines[:1800])
            if codec == "zstd":
                measure(f"kafka/compress_{codec}_live", compress, lines[:250])


def measure(name: str, compress: Callable[[memoryview], bytes], lines: list[bytes]) -> None:
    """Time a record, and for people how much smaller."""
    packer = Packer(b"request_id", b"/gateway/g", b"application/json", 1 << 20)
    packed = packer.pack(b"".join(lines), STREAM.encode(), PARTITIONS, PARTITIONS, ROOM, 0)
    assert packed
    data = [memoryview(pack.data) for pack in packed[0]]

    def run(count: int) -> None:
        for _ in range(count // len(lines)):
            for each in data:
                compress(each)

    report(name, run, 4 * len(lines))
    print(f"{name}: {sum(map(len, data)) / sum(len(compress(each)) for each in data):.1f} to 1")


if __name__ == "__main__":
    main()
