import random
from itertools import pairwise
from math import sqrt

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast.hashing import Random, hash_of, mixed, ppm_of

WORD = 2**64
words = st.integers(0, WORD - 1)
SEEDS = (0, 1, 0x9E3779B1, 2**32, 2**63, WORD - 1, *(WORD // share for share in (3, 7, 11, 101)))


def chi_square(counts: list[int]) -> float:
    mean = sum(counts) / len(counts)
    return sum((count - mean) * (count - mean) for count in counts) / mean


def is_uniform(counts: list[int]) -> bool:
    """Whether chi-square is within five standard deviations of what chance gives."""
    freedom = len(counts) - 1
    return abs(chi_square(counts) - freedom) < 5 * sqrt(2 * freedom)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_length_to_1100_hashes_as_the_xxhash_package_says(seed: int) -> None:
    data = random.Random(seed).randbytes(1100)
    wrong = [
        length
        for length in range(len(data) + 1)
        if hash_of(data[:length], seed) != xxhash.xxh3_64_intdigest(data[:length], seed)
    ]
    assert wrong == []


@given(st.binary(max_size=5000), words)
def test_any_bytes_hash_as_the_xxhash_package_says(data: bytes, seed: int) -> None:
    assert hash_of(data, seed) == xxhash.xxh3_64_intdigest(data, seed)


def test_the_hash_of_nothing_is_the_published_one() -> None:
    assert hash_of(b"") == 0x2D06800538D394C2


def test_any_contiguous_buffer_hashes_as_its_bytes_do() -> None:
    data = bytes(range(100))
    assert hash_of(bytearray(data)) == hash_of(memoryview(data)) == hash_of(data)
    assert hash_of(memoryview(data)[3:50]) == hash_of(data[3:50])


def test_what_is_not_bytes_is_refused() -> None:
    with pytest.raises(TypeError):
        hash_of("text")  # type: ignore[arg-type]
    with pytest.raises(BufferError):
        hash_of(memoryview(b"abcdef")[::2])


def test_the_ends_of_the_hashes_are_the_ends_of_the_ramp() -> None:
    assert (ppm_of(0), ppm_of(WORD - 1)) == (0, 999_999)


@given(words)
def test_the_millionth_is_a_rounded_down_share(word: int) -> None:
    assert ppm_of(word) == word * 1_000_000 // WORD


def test_the_millionth_never_falls_along_a_ramp() -> None:
    ramp = [ppm_of(step * (WORD // 50_000)) for step in range(50_000)]
    assert all(low <= high for low, high in pairwise(ramp))


def test_raising_a_share_keeps_everyone_who_was_in_it() -> None:
    buckets = [ppm_of(hash_of(f"user-{user}".encode(), 7)) for user in range(5_000)]
    five = {user for user, bucket in enumerate(buckets) if bucket < 50_000}
    ten = {user for user, bucket in enumerate(buckets) if bucket < 100_000}
    assert five < ten


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_consecutive_ids_spread_evenly_over_the_buckets(seed: int) -> None:
    counts = [0] * 100
    for user in range(100_000):
        counts[ppm_of(hash_of(f"user-{user}".encode(), seed)) // 10_000] += 1
    assert is_uniform(counts)


def test_two_seeds_choose_independently() -> None:
    counts = [0] * 100
    for user in range(100_000):
        name = f"user-{user}".encode()
        first, second = (ppm_of(hash_of(name, seed)) // 100_000 for seed in (1, 2))
        counts[first * 10 + second] += 1
    assert is_uniform(counts)


@given(words, words)
def test_mixing_keeps_different_words_different(left: int, right: int) -> None:
    assert (mixed(left) == mixed(right)) == (left == right)


@given(words, st.integers(0, 63))
def test_one_bit_changes_many_bits_of_the_mix(word: int, bit: int) -> None:
    assert 8 <= (mixed(word) ^ mixed(word ^ 1 << bit)).bit_count() <= 56


def test_the_generator_gives_the_published_sequence() -> None:
    generator = Random(1234567)
    assert [generator.next() for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_a_unit_is_the_upper_53_bits_of_the_next_word() -> None:
    units, twin = Random(5), Random(5)
    assert all(units.unit() == (twin.next() >> 11) / 2**53 for _ in range(1000))


@given(words, words)
def test_below_is_the_rounded_down_share_of_the_limit(seed: int, limit: int) -> None:
    assert Random(seed).below(limit) == Random(seed).next() * limit // WORD


def test_below_is_uniform() -> None:
    generator, counts = Random(9), [0] * 37
    for _ in range(100_000):
        counts[generator.below(37)] += 1
    assert is_uniform(counts)
