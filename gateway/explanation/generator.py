"""The random numbers and hashes of choosing, written again from their definitions.

SplitMix64 draws, its finaliser mixes, XXH3-64 names a backend. `_fast/hashing` has the
same in C; these exist so that a decision can be checked by something that did not make it.

Rule: nothing here may call compiled code of ours.
https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
"""

from __future__ import annotations

WORD = (1 << 64) - 1
LONGEST_NAME = 128  # bytes; a backend's name has at most as many characters

_STEP = 0x9E3779B97F4A7C15
_PRIME64_1, _PRIME64_2, _PRIME64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_PRIME_MX1, _PRIME_MX2 = 0x165667919E3779F9, 0x9FB21C651E98DF25
# The beginning of the specification's secret: what texts of up to 128 bytes use of it.
_SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
)


def mix(value: int) -> int:
    """SplitMix64's finaliser (Stafford's variant 13)."""
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & WORD
    return value ^ (value >> 31)


class Generator:
    """SplitMix64 from a recorded state on."""

    def __init__(self, state: int) -> None:
        self.state = state

    def next(self) -> int:
        self.state = (self.state + _STEP) & WORD
        return mix(self.state)

    def unit(self) -> float:
        """In [0, 1), a multiple of 2**-53."""
        return (self.next() >> 11) * 2.0**-53

    def below(self, limit: int) -> int:
        """In 0 … limit - 1."""
        return self.next() * limit >> 64


def name_hash(name: str) -> int:
    """XXH3-64 with seed 0 of a name of 1 to LONGEST_NAME bytes."""
    data = name.encode()
    if not 0 < len(data) <= LONGEST_NAME:
        raise ValueError(f"a name has 1 to {LONGEST_NAME} bytes, not {len(data)}")
    if len(data) > 16:
        return _hash_17_to_128(data)
    if len(data) > 8:
        return _hash_9_to_16(data)
    return _hash_4_to_8(data) if len(data) > 3 else _hash_1_to_3(data)


def _hash_1_to_3(data: bytes) -> int:
    size = len(data)
    word = data[-1] | size << 8 | data[0] << 16 | data[size >> 1] << 24
    word ^= _u32(_SECRET, 0) ^ _u32(_SECRET, 4)
    word = (word ^ (word >> 33)) * _PRIME64_2 & WORD
    word = (word ^ (word >> 29)) * _PRIME64_3 & WORD
    return word ^ (word >> 32)


def _hash_4_to_8(data: bytes) -> int:
    size = len(data)
    word = _u32(data, size - 4) + (_u32(data, 0) << 32)
    word ^= _u64(_SECRET, 8) ^ _u64(_SECRET, 16)
    word ^= _rotated(word, 49) ^ _rotated(word, 24)
    word = word * _PRIME_MX2 & WORD
    word ^= (word >> 35) + size
    word = word * _PRIME_MX2 & WORD
    return word ^ (word >> 28)


def _hash_9_to_16(data: bytes) -> int:
    size = len(data)
    low = _u64(_SECRET, 24) ^ _u64(_SECRET, 32) ^ _u64(data, 0)
    high = _u64(_SECRET, 40) ^ _u64(_SECRET, 48) ^ _u64(data, size - 8)
    swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
    return _avalanche(size + swapped + high + _folded(low, high))


def _hash_17_to_128(data: bytes) -> int:
    size = len(data)
    total = size * _PRIME64_1
    for pair in range((size - 1) // 32 + 1):
        total += _fold_16(data, 16 * pair, 32 * pair)
        total += _fold_16(data, size - 16 * (pair + 1), 32 * pair + 16)
    return _avalanche(total)


def _fold_16(data: bytes, at: int, secret_at: int) -> int:
    return _folded(
        _u64(data, at) ^ _u64(_SECRET, secret_at), _u64(data, at + 8) ^ _u64(_SECRET, secret_at + 8)
    )


def _folded(left: int, right: int) -> int:
    product = left * right
    return (product & WORD) ^ (product >> 64)


def _avalanche(word: int) -> int:
    word &= WORD
    word = (word ^ (word >> 37)) * _PRIME_MX1 & WORD
    return word ^ (word >> 32)


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & WORD


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _u64(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")
