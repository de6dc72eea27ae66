"""Any bytes, cut anywhere: a chunked body is decoded as the definition decodes it whole.

The first byte chooses the cuts.
"""

import random

from gateway._fast import chunked
from tests.fuzz.loop import run
from tests.reference import chunked as reference

SEEDS = [
    b"\0" + text
    for text in (
        b"4\r\nWiki\r\n5;a=b\r\npedia\r\n0\r\nx-sum: 1\r\n\r\n",
        b'0004;a="b;c"\r\n\r\n\0\xff\r\n00\r\n\r\nGET / HTTP/1.1\r\n',
        b"fffffffffffffff\r\n" + b"x" * 40,
    )
]
GADGETS = [
    b"\r", b"\n", b"\r\n", b"0\r\n", b"0\r\n\r\n", b"1\r\na\r\n", b";", b";x=y", b"\0", b"\x7f",
    b"\t", b" ", b"0x", b"+", b"_", b"g", b"F" * 16, b"host: a\r\n", b"content-length: 1\r\n",
    b"x: " + b"y" * 4000 + b"\r\n", b";" + b"z" * 2000,
]  # fmt: skip


def fuzz_one(data: bytes) -> None:
    if not data:
        return
    dice, data = random.Random(data[0]), data[1:]
    expected = reference.decode(data)
    whole = chunked.decode(data)
    assert (None if whole == -1 else whole) == expected
    edges = sorted(dice.randint(0, len(data)) for _ in range(dice.choice((1, 3, 9))))
    pieces = [data[a:b] for a, b in zip([0, *edges], [*edges, len(data)], strict=True)]
    assert chunked.decode(*pieces) == whole


if __name__ == "__main__":
    run(fuzz_one, SEEDS, GADGETS)
