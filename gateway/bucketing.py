"""Buckets: which millionth of a million a unit falls into, by one of five hashes.

`bucket_of` is the reference for the compiled path and what flags, audiences and slow paths
draw with. Ours is `xxh3`; the others draw exactly as the system one comes from, so that
nobody changes sides when an experiment or a flag is carried over:

    xxh3                XXH3-64 of the unit, seeded with XXH3-64 of the salt, times 10^6 >> 64
    murmur3-flagd       MurmurHash3-32 of salt + unit, times 10^6 >> 32; the salt is the flag's key
    sha1-launchdarkly   60 bits of SHA-1 of `salt.unit`; the salt is `flagKey.salt`, or the seed
    md5-eppo            32 bits of MD5 of `salt-unit`, modulo 10,000 shards
    growthbook-v2       FNV-1a-32 of (FNV-1a-32 of salt + unit, in decimal), modulo 10,000

Rule 1: the same unit, salt and hash give the same bucket on every machine and in every version.
Rule 2: a share of p parts per million is the buckets below p, so that raising a share moves
        nobody out of it.
Rule 3: integers only: no bucket depends on how a processor rounds.
Why one FNV of another: FNV alone draws alike for salts that differ in their last letters.

md5-eppo and growthbook-v2 know ten thousand buckets, every hundredth of ours. GrowthBook's
SDKs disagree on units beyond ASCII; here they are UTF-8, as in its Go SDK.
Knows nothing of requests, rollouts and flags.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from gateway._fast import hash_of
from gateway.plan import PPM

_WORD = 0xFFFFFFFF
_SHARDS = 10_000
_PPM_OF_A_SHARD = PPM // _SHARDS
_SHA1_DIGITS = 15  # 60 bits
_SHA1_MOST = (1 << 4 * _SHA1_DIGITS) - 1


def bucket_of(unit: bytes, salt: str, hash: str = "xxh3") -> int:  # noqa: A002  the schema's word
    """The unit's bucket, 0 … 999,999."""
    return _BUCKETS[hash](unit, salt.encode())


def _xxh3(unit: bytes, salt: bytes) -> int:
    return hash_of(unit, hash_of(salt)) * PPM >> 64


def _murmur3_flagd(unit: bytes, salt: bytes) -> int:
    return murmur3_32(salt + unit) * PPM >> 32


def _sha1_launchdarkly(unit: bytes, salt: bytes) -> int:
    digest = hashlib.sha1(salt + b"." + unit, usedforsecurity=False).hexdigest()
    # Why min: its share is in [0, 1], and 1 belongs to the last part.
    return min(int(digest[:_SHA1_DIGITS], 16) * PPM // _SHA1_MOST, PPM - 1)


def _md5_eppo(unit: bytes, salt: bytes) -> int:
    return md5_shard(salt + b"-" + unit) * _PPM_OF_A_SHARD


def _growthbook_v2(unit: bytes, salt: bytes) -> int:
    inner = str(fnv1a_32(salt + unit)).encode()
    return fnv1a_32(inner) % _SHARDS * _PPM_OF_A_SHARD


def md5_shard(data: bytes) -> int:
    """Eppo's shard of ten thousand."""
    digest = hashlib.md5(data, usedforsecurity=False).digest()
    return int.from_bytes(digest[:4], "big") % _SHARDS


def fnv1a_32(data: bytes) -> int:
    """FNV-1a, 32 bits."""
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & _WORD
    return value


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """MurmurHash3_x86_32."""
    value, whole = seed, len(data) & ~3
    for at in range(0, whole, 4):
        value ^= _murmur_word(int.from_bytes(data[at : at + 4], "little"))
        value = (_rotated(value, 13) * 5 + 0xE6546B64) & _WORD
    if whole < len(data):
        value ^= _murmur_word(int.from_bytes(data[whole:], "little"))
    value ^= len(data)
    value = (value ^ value >> 16) * 0x85EBCA6B & _WORD
    value = (value ^ value >> 13) * 0xC2B2AE35 & _WORD
    return value ^ value >> 16


def _murmur_word(word: int) -> int:
    return _rotated(word * 0xCC9E2D51 & _WORD, 15) * 0x1B873593 & _WORD


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> 32 - bits) & _WORD


# By the names of config.rollouts.Hash.
_BUCKETS: dict[str, Callable[[bytes, bytes], int]] = {
    "xxh3": _xxh3,
    "murmur3-flagd": _murmur3_flagd,
    "sha1-launchdarkly": _sha1_launchdarkly,
    "md5-eppo": _md5_eppo,
    "growthbook-v2": _growthbook_v2,
}
HASHES = tuple(_BUCKETS)
