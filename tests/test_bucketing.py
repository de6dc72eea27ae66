"""Buckets: the vectors that other systems publish, and what every hash must be good for."""

import hashlib
from itertools import combinations
from typing import Any, get_args

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway.bucketing import (
    HASHES,
    bucket_of,
    fnv1a_32,
    md5_shard,
    murmur3_32,
)
from gateway.config.rollouts import Arm, Rollout
from gateway.config.rollouts import Hash as DeclaredHash
from gateway.flags.splits import part_at, split_of
from gateway.plan import PPM
from gateway.variants import slots_of

UNITS = 20_000
SALTS = ("chat", "chat-2", "search")
IDS = {
    "counted": [f"user-{number}".encode() for number in range(UNITS)],
    "drawn": [hashlib.sha256(b"%d" % n).hexdigest()[:32].encode() for n in range(UNITS)],
}


def drawn(hash_name: str, salt: str, ids: str, count: int = UNITS) -> NDArray[Any]:
    buckets = [bucket_of(unit, salt, hash_name) for unit in IDS[ids][:count]]
    return np.array(buckets, dtype=np.int64)


def test_every_hash_that_can_be_configured_is_here() -> None:
    assert get_args(DeclaredHash) == HASHES


# Golden vectors. Ours: from the specification of XXH3 by the reference library.


@pytest.mark.parametrize("unit", [b"", b"a", b"user-1", b"x" * 17, b"y" * 200, b"z" * 5000])
@pytest.mark.parametrize("salt", ["", "chat", "a longer salt than the others, with ünïcode"])
def test_xxh3_is_the_library_s(unit: bytes, salt: str) -> None:
    seed = xxhash.xxh3_64_intdigest(salt.encode())
    expected = xxhash.xxh3_64_intdigest(unit, seed=seed) * PPM >> 64
    assert bucket_of(unit, salt) == expected


@pytest.mark.parametrize(
    "unit, salt, bucket",
    [
        (b"user-1", "chat", 799_309),
        (b"user-2", "chat", 726_464),
    ],
)
def test_xxh3_stays_as_it_is(unit: bytes, salt: str, bucket: int) -> None:
    """These are in records of old: they may never change."""
    assert bucket_of(unit, salt) == bucket


# The vectors of SMHasher's author and of libraries that follow it.
@pytest.mark.parametrize(
    "data, seed, expected",
    [
        (b"", 0, 0),
        (b"", 1, 0x514E28B7),
        (b"", 0xFFFFFFFF, 0x81F16F39),
        (b"\xff\xff\xff\xff", 0, 0x76293B50),
        (b"\x21\x43\x65\x87", 0, 0xF55B516B),
        (b"\x21\x43\x65\x87", 0x5082EDEE, 0x2362F9DE),
        (b"\x21\x43\x65", 0, 0x7E4A8634),
        (b"\x21\x43", 0, 0xA0F7B07A),
        (b"\x21", 0, 0x72661CF4),
        (b"\0\0\0\0", 0, 0x2362F9DE),
        (b"\0\0\0", 0, 0x85F0B427),
    ],
)
def test_murmur3_has_its_published_values(data: bytes, seed: int, expected: int) -> None:
    assert murmur3_32(data, seed) == expected


# fractional_test.go of flagd, since it multiplies and shifts: four colours at 25 each,
# hashed by the flag's key, or a seed of one's own, and the address.
@pytest.mark.parametrize(
    "salt, name, colour",
    [
        ("headerColor", "rachel", "blue"),
        ("headerColor", "monica", "yellow"),
        ("headerColor", "joey", "red"),
        ("headerColor", "ross", "blue"),
        ("my-seed", "rachel", "green"),
        ("my-seed", "monica", "red"),
        ("my-seed", "joey", "blue"),
        ("my-seed", "ross", "green"),
        ("", "ross", "red"),
    ],
)
def test_flagd_s_own_cases_come_out_alike(salt: str, name: str, colour: str) -> None:
    colours = split_of([(each, 25) for each in ("red", "blue", "green", "yellow")])
    bucket = bucket_of(f"{name}@faas.com".encode(), salt, "murmur3-flagd")
    assert part_at(colours, bucket) == colour


@pytest.mark.parametrize(
    "salt, unit, weights, colour",
    [
        ("headerColor", b"foo@foo.com", {"blue": 50, "green": 50}, "green"),
        ("headerColor", b"foo@foo.com", {"red": 50, "blue": 50}, "blue"),
        ("", b"foo@foo.com", {"red": 1, "blue": 1}, "blue"),
        ("", b"email", {"red": 50, "blue": 25, "green": 25}, "green"),
    ],
)
def test_flagd_s_other_weights_come_out_alike(
    salt: str, unit: bytes, weights: dict[str, int], colour: str
) -> None:
    parts = split_of(list(weights.items()))
    assert part_at(parts, bucket_of(unit, salt, "murmur3-flagd")) == colour


# The tests that all of LaunchDarkly's SDKs share: `hashKey`, `saltyA`, and the seed 61.
@pytest.mark.parametrize(
    "unit, salt, share",
    [
        (b"userKeyA", "hashKey.saltyA", 0.42157587),
        (b"userKeyB", "hashKey.saltyA", 0.6708485),
        (b"userKeyC", "hashKey.saltyA", 0.10343106),
        (b"33333", "hashKey.saltyA", 0.54771423),
        (b"userKeyA", "61", 0.09801207),
        (b"userKeyB", "61", 0.14483777),
        (b"userKeyC", "61", 0.9242641),
    ],
)
def test_launchdarkly_s_own_cases_come_out_alike(unit: bytes, salt: str, share: float) -> None:
    assert bucket_of(unit, salt, "sha1-launchdarkly") == int(share * PPM)


# sharders_test.py of Eppo's SDKs; the first has the form `salt-subject`.
@pytest.mark.parametrize(
    "data, shard",
    [(b"test-input", 5619), (b"alice", 3170), (b"bob", 7420), (b"charlie", 7497)],
)
def test_eppo_s_own_cases_come_out_alike(data: bytes, shard: int) -> None:
    assert md5_shard(data) == shard


def test_eppo_s_subject_is_behind_the_salt() -> None:
    assert bucket_of(b"input", "test", "md5-eppo") == 561_900


# `hash` of GrowthBook's cases.json, version 2.
@pytest.mark.parametrize(
    "seed, value, share",
    [
        ("seed", "a", 0.0505),
        ("seed", "b", 0.2696),
        ("foo", "ab", 0.2575),
        ("foo", "def", 0.2019),
        ("89123klj", "8952klfjas09ujkasdf", 0.124),
        ("90850943850283058242805", "123", 0.7516),
        ("()**(%$##$%#$#", '___)((*":&', 0.0128),
    ],
)
def test_growthbook_s_own_cases_come_out_alike(seed: str, value: str, share: float) -> None:
    assert bucket_of(value.encode(), seed, "growthbook-v2") == round(share * PPM)


@pytest.mark.parametrize(
    "data, expected", [(b"", 0x811C9DC5), (b"a", 0xE40C292C), (b"foobar", 0xBF9CF968)]
)
def test_fnv_has_its_published_values(data: bytes, expected: int) -> None:
    assert fnv1a_32(data) == expected


# What every hash must be good for.


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("hash_name", HASHES)
def test_each_share_gets_its_part(hash_name: str, ids: str) -> None:
    """Within four standard errors at 1, 5, 25 and 50 percent, and over a hundred classes."""
    buckets = drawn(hash_name, "chat", ids)
    for share in (0.01, 0.05, 0.25, 0.5):
        error = (share * (1 - share) / UNITS) ** 0.5
        assert abs(np.mean(buckets < share * PPM) - share) < 4 * error
    counts = np.bincount(buckets // (PPM // 100), minlength=100)
    chi_square = float(np.sum((counts - UNITS / 100) ** 2) / (UNITS / 100))
    assert chi_square < 99 + 4 * (2 * 99) ** 0.5


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("hash_name", HASHES)
def test_salts_draw_independently(hash_name: str, ids: str) -> None:
    """Who is in one experiment says nothing about who is in the next: |corr| < 0.02."""
    # 20,000 units have a standard error of 0.007; 0.02 is what the figure may be at most.
    columns = [drawn(hash_name, salt, ids) for salt in SALTS]
    for left, right in combinations(columns, 2):
        assert abs(np.corrcoef(left, right)[0, 1]) < 0.02
        for share in (0.05, 0.5):
            arms = np.corrcoef(left < share * PPM, right < share * PPM)
            assert abs(arms[0, 1]) < 0.03


def test_one_fnv_alone_would_not_pass() -> None:
    """The defect of GrowthBook's version 1, which is why it is not offered."""

    def version_1(salt: str) -> NDArray[Any]:
        return np.array([fnv1a_32(unit + salt.encode()) % 1000 for unit in IDS["counted"]])

    worst = max(
        abs(np.corrcoef(version_1(f"test-{a}") < 500, version_1(f"test-{b}") < 500)[0, 1])
        for a, b in combinations("1234", 2)
    )
    assert worst > 0.02


@pytest.mark.parametrize("hash_name", HASHES)
def test_raising_a_share_moves_nobody_out(hash_name: str) -> None:
    buckets = drawn(hash_name, "chat", "counted", 2000)
    inside: set[int] = set()
    rollout = Rollout(route="chat", arms={"new": Arm()})
    for weight in (0, 10_000, 50_000, 250_000, 500_000, 1_000_000):
        ((first, end),), _champions, _held = slots_of(rollout, {"new": weight})
        now = set(np.flatnonzero((first <= buckets) & (buckets < end)).tolist())
        assert inside <= now
        inside = now
    assert len(inside) == len(buckets)


@given(st.binary(max_size=300), st.text(max_size=40), st.sampled_from(HASHES))
def test_buckets_are_millionths(unit: bytes, salt: str, hash_name: str) -> None:
    assert 0 <= bucket_of(unit, salt.encode("utf-8", "ignore").decode(), hash_name) < PPM
