"""Texts cleaned together, texts in pieces, and where texts may be cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.payloads.patterns import Patterns
from gateway.payloads.redaction import RULES
from gateway.payloads.texts import Texts, cut, safe_end, unspelled, without_end
from tests.payloads.canaries import CANARIES, LOT, betrayed

ALL = Patterns(list(RULES.values()))


def test_only_texts_with_something_in_them_are_replaced() -> None:
    texts = Texts(ALL)
    found = texts.clean(
        ["one", "mail ann@example.org or bob@example.org", "", "ü password=hunter2"]
    )
    assert found == {
        1: "mail [redacted:email] or [redacted:email]",
        3: "ü password=[redacted:secrets]",
    }
    assert texts.redacted == 3


def test_neighbours_are_not_read_as_one_text() -> None:
    assert Texts(ALL).clean(["password=", "hunter2", "ann@", "example.org"]) == {}


def test_names_get_others() -> None:
    assert Texts(ALL).clean_names(["a", "ann@example.org"]) == {
        "ann@example.org": "[redacted:email]"
    }


@pytest.mark.parametrize("name", CANARIES)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lane_is_read_as_one_text(name: str, size: int) -> None:
    whole = f"before {CANARIES[name][1]}\nbehind"
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    texts = Texts(ALL)
    found = texts.clean_lane(pieces)
    joined = "".join(found.get(number, piece) for number, piece in enumerate(pieces))
    assert texts.redacted >= 1
    assert not betrayed(name, joined)
    assert joined.startswith("before ")
    assert joined.endswith("\nbehind")
    assert joined == Texts(ALL).clean([whole])[0]


def test_lane_that_spells_by_number_is_read_too() -> None:
    spelled = "".join(f"\\u{ord(one):04x}" for one in f"sk-{LOT}")
    pieces = [spelled[:50], spelled[50:]]
    assert Texts(ALL).clean_lane(pieces) == {0: "[redacted:secrets]", 1: ""}
    assert Texts(ALL).clean([spelled]) == {0: "[redacted:secrets]"}


def test_only_ordinary_characters_are_unspelled() -> None:
    assert unspelled(r"\u0041\u00e4\u0007\u2028") == r"A\u00e4\u0007\u2028"


@given(st.lists(st.text(max_size=30), max_size=6), st.sampled_from(sorted(CANARIES)))
def test_cleaning_what_was_cleaned_changes_nothing(around: list[str], name: str) -> None:
    text = f" {CANARIES[name][1]} ".join(around)
    once = Texts(ALL).clean([text]).get(0, text)
    assert Texts(ALL).clean([once]) == {}


@given(st.text(), st.integers(0, 50))
def test_cut_text_is_the_longest_whole_beginning(text: str, limit: int) -> None:
    data = text.encode("utf-8", "ignore")
    kept = cut(data, limit)
    assert data.startswith(kept)
    assert len(kept) <= limit
    assert kept.decode("utf-8") is not None
    longer = data[: len(kept) + 4].decode("utf-8", "ignore").encode()
    assert len(longer) <= len(kept) or len(longer) > limit or kept == data


def test_end_of_a_text_without_spaces_is_long() -> None:
    assert safe_end(b"x" * 1000) == 1000 - 512
    assert safe_end(b"x" * 100) == 0


def test_end_of_a_text_with_spaces_is_the_last_word_but_no_group_of_digits() -> None:
    words = b"word " * 100
    assert len(words) - 70 < safe_end(words) <= len(words) - 64
    assert safe_end(b"a b " + b"x" * 200) == 3


def test_pieces_lose_the_end_together() -> None:
    pieces = ["a" * 600, "b" * 300, "c" * 300]
    found = without_end(pieces)
    assert found == {1: "b" * 88, 2: ""}
