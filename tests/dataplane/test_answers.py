"""The last good answers: bounded, aged, and nobody's but the caller's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dataplane.answers import Answer, LastGoodAnswers, answer_key


class Clock:
    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def kept(entries: int = 3, size_bytes: int = 100, clock: Clock | None = None) -> LastGoodAnswers:
    return LastGoodAnswers(
        entries=entries, size_bytes=size_bytes, ttl_ns=1000, clock=clock or Clock()
    )


def answer(body: bytes) -> Answer:
    return (200, b"application/json", body)


def test_answer_is_kept_until_it_is_too_old() -> None:
    clock = Clock()
    answers = kept(clock=clock)
    answers.keep(b"k", answer(b"a"))
    clock.now_ns = 1000
    assert answers.get(b"k") == answer(b"a")
    clock.now_ns = 1001
    assert answers.get(b"k") is None
    assert len(answers) == 0, "what is too old is dropped"


def test_fresh_answer_takes_the_place_and_the_time_of_the_old_one() -> None:
    clock = Clock()
    answers = kept(clock=clock)
    answers.keep(b"k", answer(b"old"))
    clock.now_ns = 900
    answers.keep(b"k", answer(b"new"))
    clock.now_ns = 1800
    assert answers.get(b"k") == answer(b"new")
    assert len(answers) == 1


def test_oldest_goes_first_when_there_are_too_many() -> None:
    answers = kept(entries=2)
    for key in (b"1", b"2", b"1", b"3"):
        answers.keep(key, answer(key))
    assert [answers.get(key) is not None for key in (b"1", b"2", b"3")] == [True, False, True]


def test_oldest_goes_first_when_they_are_too_large_together() -> None:
    answers = kept(size_bytes=10)
    answers.keep(b"1", answer(b"x" * 6))
    answers.keep(b"2", answer(b"x" * 4))
    assert len(answers) == 2
    answers.keep(b"3", answer(b"x" * 5))
    assert [answers.get(key) is not None for key in (b"1", b"2", b"3")] == [False, True, True]


def test_answer_larger_than_the_whole_cache_drives_nobody_out() -> None:
    answers = kept(size_bytes=10)
    answers.keep(b"1", answer(b"x" * 10))
    answers.keep(b"2", answer(b"x" * 11))
    assert answers.get(b"1") is not None
    assert answers.get(b"2") is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"1", b"2", b"3", b"4", b"5"]),
            st.integers(0, 12),  # of bytes
            st.integers(0, 600),  # of nanoseconds until the next
            st.booleans(),  # kept, or asked for
        )
    )
)
def test_bounds_hold_whatever_is_kept_and_asked(steps: list[tuple[bytes, int, int, bool]]) -> None:
    clock, model = Clock(), dict[bytes, tuple[int, Answer]]()
    answers = kept(entries=3, size_bytes=20, clock=clock)
    for key, size, later_ns, is_kept in steps:
        clock.now_ns += later_ns
        if is_kept:
            answers.keep(key, answer(b"x" * size))
            model[key] = (clock.now_ns, answer(b"x" * size))
        found = answers.get(key)
        if found is not None:
            at_ns, expected = model[key]
            assert found == expected
            assert clock.now_ns <= at_ns + 1000
        elif is_kept:
            pytest.fail("what was kept a moment ago is there")
        sizes = [len(each[1][2]) for each in answers._kept.values()]
        assert len(sizes) <= 3
        assert sum(sizes) == answers._bytes <= 20


def test_key_tells_callers_paths_and_bodies_apart() -> None:
    keys = {
        answer_key(b"/a", b"key", b"body"),
        answer_key(b"/a", b"other", b"body"),
        answer_key(b"/a", None, b"body"),
        answer_key(b"/b", b"key", b"body"),
        answer_key(b"/a", b"key", b"other"),
        answer_key(b"/ak", b"ey", b"body"),
        answer_key(b"/a", b"keyb", b"ody"),
    }
    assert len(keys) == 7
    assert answer_key(b"/a", None, b"") == answer_key(b"/a", b"", b"")
