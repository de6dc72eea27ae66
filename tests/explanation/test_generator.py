import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast.hashing import Random, mixed
from gateway.explanation.generator import LONGEST_NAME, WORD, Generator, mix, name_hash

words = st.integers(0, WORD)


def test_every_length_of_a_name_hashes_as_the_xxhash_package_says() -> None:
    text = "aZ9._:/@+-" * 13
    for length in range(1, LONGEST_NAME + 1):
        assert name_hash(text[:length]) == xxhash.xxh3_64_intdigest(text[:length].encode())


@given(st.text(st.characters(max_codepoint=127), min_size=1, max_size=LONGEST_NAME))
def test_any_name_hashes_as_the_xxhash_package_says(name: str) -> None:
    assert name_hash(name) == xxhash.xxh3_64_intdigest(name.encode())


@pytest.mark.parametrize("name", ["", "a" * 129])
def test_what_is_no_name_is_not_hashed(name: str) -> None:
    with pytest.raises(ValueError, match="a name has 1 to 128 bytes"):
        name_hash(name)


@given(words)
def test_words_are_mixed_as_the_data_plane_does(word: int) -> None:
    assert mix(word) == mixed(word)


@given(words, st.integers(1, 64))
def test_draws_are_those_of_the_data_plane(state: int, limit: int) -> None:
    ours, theirs = Generator(state), Random(state)
    assert [ours.next(), ours.unit(), ours.below(limit), ours.unit()] == [
        theirs.next(),
        theirs.unit(),
        theirs.below(limit),
        theirs.unit(),
    ]
