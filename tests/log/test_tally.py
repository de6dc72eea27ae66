from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.log.lines import MalformedLine
from gateway.log.tally import Tally, content_of
from tests.log.samples import OTHER, STREAM, line, lines


@given(cuts=st.lists(st.integers(0, 30), max_size=5))
def test_lines_amount_to_the_same_in_whatever_pieces(cuts: list[int]) -> None:
    tally, before = Tally(STREAM), 0
    for cut in [*sorted(cuts), 30]:
        assert tally.add(lines(before + 1, cut)) == ""
        before = max(before, cut)
    assert tally.content() == content_of(lines(1, 30), STREAM)


def test_content_is_that_of_the_lines() -> None:
    text = lines(3, 5) + lines(9, 9)
    content = content_of(text, STREAM)
    assert (content.bytes, content.records) == (len(text), 4)
    assert (content.first_seq, content.last_seq) == (3, 9)
    assert content.sha256 == hashlib.sha256(text).hexdigest()


def test_times_are_the_earliest_and_the_latest_whatever_the_order() -> None:
    text = line(1).replace(b"12:00:01", b"13:00:00") + b"\n" + lines(2, 3)
    content = content_of(text, STREAM)
    assert content.first_time == "2026-11-21T12:00:02.000000Z"
    assert content.last_time == "2026-11-21T13:00:00.000000Z"


def test_nothing_amounts_to_nothing() -> None:
    content = content_of(b"", STREAM)
    assert (content.bytes, content.records, content.first_seq, content.last_seq) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "bad, wrong",
    [
        (b"\n", "is not one JSON object"),
        (b"{}\n", "is not one JSON object with a place in the log"),
        (line(4)[:-1] + b"\n", "is not one JSON object with a place in the log"),
        (line(4), "is not one JSON object with a place in the log"),
        (line(4)[:-2] + b"\n", "is not one JSON object"),
        (b"x" + line(4) + b"\n", "is not one JSON object"),
        (line(4) + line(5) + b"\n", "is not one JSON object with a place in the log"),
        (line(4).replace(b",", b",\n", 1) + b"\n", "is not one JSON object"),
        (line(4, stream=OTHER) + b"\n", "is of another stream"),
        (line(3) + b"\n", "has number 3 after 3"),
        (line(1) + b"\n", "has number 1 after 3"),
    ],
)
def test_line_that_is_wrong_ends_the_count_before_it(bad: bytes, wrong: str) -> None:
    tally = Tally(STREAM)
    assert tally.add(lines(1, 3) + bad + lines(6, 7)) == wrong
    assert tally.content() == content_of(lines(1, 3), STREAM)


def test_gap_is_wrong_only_where_there_was_none() -> None:
    assert Tally(STREAM).add(lines(1, 2) + lines(4, 5)) == ""
    tally = Tally(STREAM, is_gapless=True)
    assert tally.add(lines(1, 2) + lines(4, 5)) == "has number 4 where 3 belongs"
    assert tally.records == 2


def test_wrong_lines_are_told_by_their_number() -> None:
    with pytest.raises(MalformedLine, match="Line 3 is not one JSON object"):
        content_of(lines(1, 2) + b"x\n", STREAM)


@given(count=st.integers(1, 200), data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_only_altered_line_is_known(count: int, data: st.DataObject) -> None:
    whole = content_of(lines(1, count), STREAM)
    altered = data.draw(st.integers(1, count))
    tally = Tally(STREAM)
    for seq in range(1, count + 1):
        request_id = "other" if seq == altered else "r"
        tally.add(line(seq, request_id=request_id) + b"\n")
    assert tally.altered_line(whole.check) == altered


def test_no_line_is_named_where_none_or_several_were_altered() -> None:
    whole = content_of(lines(1, 64), STREAM)
    chance = random.Random(1)
    for count in [0, 2, 3, 4, 7, 64]:
        altered = set(chance.sample(range(1, 65), count))
        tally = Tally(STREAM)
        for seq in range(1, 65):
            tally.add(line(seq, request_id="s" if seq in altered else "r") + b"\n")
        assert tally.altered_line(whole.check) == 0


@pytest.mark.parametrize("check", ["", "00", "zz" * 28, "0" * 56])
def test_check_that_is_none_names_no_line(check: str) -> None:
    tally = Tally(STREAM)
    tally.add(lines(1, 64))
    assert tally.altered_line(check) in {0, *range(1, 65)}


def tallied(text: bytes, *, is_quick: bool) -> tuple[str, object]:
    tally = Tally(STREAM, is_quick=is_quick)
    return tally.add(text), tally.content()


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_quick_count_says_the_same_of_anything_a_crash_leaves(data: st.DataObject) -> None:
    good = lines(1, 6)
    assert tallied(good, is_quick=True) == tallied(good, is_quick=False)
    if data.draw(st.booleans()):  # pages that did not reach the disk
        begin = data.draw(st.integers(0, len(good)))
        end = data.draw(st.integers(begin + 1, len(good) + 1))
        text = good[:begin] + bytes(end - begin) + good[end:]
    else:  # lines that are none, or at the wrong place
        bad = [b"garbage\n", b"{}\n", b"\n", line(9), line(2) + b"\n", line(9) + b"\n", b"\1{}\n"]
        before = data.draw(st.integers(0, 6))
        text = lines(1, before) + data.draw(st.sampled_from(bad)) + lines(before + 1, 6)
    assert tallied(text, is_quick=True) == tallied(text, is_quick=False)


def test_line_with_a_time_of_another_form_is_counted_all_the_same() -> None:
    text = line(1).replace(b".000000Z", b"Z") + b"\n" + lines(2, 2)
    assert tallied(text, is_quick=True) == tallied(text, is_quick=False)
    assert content_of(text, STREAM).first_time == "2026-11-21T12:00:01Z"
