"""Many rules at once: hints, spans, time."""

from __future__ import annotations

import functools
import itertools
import json
import random
import time
from collections.abc import Callable

import pytest

from gateway.payloads.identifiers import CARD, EMAIL
from gateway.payloads.patterns import SEPARATOR, Patterns, Rule, Span
from gateway.payloads.redaction import RULES
from tests.payloads.canaries import CANARIES

ALL = Patterns(list(RULES.values()))


@pytest.mark.parametrize("name", CANARIES)
def test_canary_is_found_by_its_rule_alone(name: str) -> None:
    rule, planted, core = CANARIES[name]
    text = f"before {planted}\nbehind".encode()
    spans = ALL.find(text)
    assert {span.name for span in spans} == {rule}
    left = b"".join(text[a.end : b.start] for a, b in itertools.pairwise(spans))
    outside = text[: spans[0].start] + left + text[spans[-1].end :]
    assert core.encode() not in outside
    assert outside.startswith(b"before ")
    assert b"\nbehind" in outside


@pytest.mark.parametrize("name", CANARIES)
@pytest.mark.parametrize(
    "written",
    [
        lambda text: json.dumps({"a": text}),
        lambda text: json.dumps({"a": json.dumps({"b": text})}),
        lambda text: json.dumps({"a": text}).replace("/", "\\/"),
        lambda text: '{"a":"' + "".join(f"\\u{ord(one):04x}" for one in text) + '"}',
    ],
    ids=["plain", "nested", "slashes", "numbers"],
)
def test_hint_sees_canary_in_json_however_it_is_written(
    name: str, written: Callable[[str], str]
) -> None:
    rule, planted, _ = CANARIES[name]
    assert Patterns([RULES[rule]]).may_be_in(written(f"a {planted} b").encode())


def test_ordinary_body_gives_no_hint() -> None:
    prompt = {
        "model": "chat",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Which risk-based key tasks are there? Ask Ann."}],
    }
    assert not ALL.may_be_in(json.dumps(prompt).encode())


def test_no_rules_find_nothing() -> None:
    none = Patterns([])
    assert not none
    assert not none.may_be_in(b"password=hunter2")
    assert none.find(b"password=hunter2") == []


def test_overlapping_finds_are_one() -> None:
    first = Rule("a", b"x", lambda text: [(0, 4), (10, 12)])
    second = Rule("b", b"x", lambda text: [(2, 6), (12, 13)])
    spans = Patterns([first, second]).find(b"")
    assert spans == [Span(0, 6, "a"), Span(10, 12, "a"), Span(12, 13, "b")]


@pytest.mark.parametrize("name", CANARIES)
def test_nothing_is_found_across_the_separator(name: str) -> None:
    """Wherever it stands, no span has it inside."""
    planted = CANARIES[name][1].encode()
    for at in range(1, len(planted)):
        text = planted[:at] + SEPARATOR + planted[at:]
        assert not [span for span in ALL.find(text) if span.start <= at < span.end]


HOSTILE = [
    b"a",
    b"1",
    b"4111 1111 1111 1111 ",
    b"4",
    b"DE12 ",
    b"DE89 3704 0044 0532 0130 01 ",
    b"+41 44 668 18 01 ",
    b"030 1234567 ",
    b"(",
    b"a@",
    b"a@b.",
    b"a@b.c@",
    b"sk-",
    b"sk-a-",
    b"eyJ",
    b"eyJaaaaaaaaa.",
    b"eyJaaaaaaaaa.aaaaaaaaaa ",
    b"://a:",
    b"://",
    b"password",
    b"password=",
    b"password = abcdef1 ",
    b'password"     :',
    b"secret:'",
    b"Bearer ",
    b"Bearer abcdefgh12 ",
    b"cookie: a=",
    b"-----BEGIN ",
    b"-----BEGIN PRIVATE KEY-----",
    b"-----BEGIN PRIVATE KEY-----\xff",
    b"\\u0041",
    b"\\",
    b'"',
    b"=",
    b":",
    b"\xff",
    b"\xc2\xa0",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_with_the_text_and_not_faster(unit: bytes) -> None:
    """Eight times the text may take twenty times as long, not sixty-four."""

    def seconds(size: int) -> float:
        text = (unit * (size // len(unit) + 1))[:size]
        return min(_timed(lambda: (ALL.may_be_in(text), ALL.find(text))) for _ in range(2))

    small, large = seconds(16 * 1024), seconds(128 * 1024)
    assert large < max(20 * small, 0.02)


def _timed(work: Callable[[], object]) -> float:
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def test_time_is_bounded_for_any_mixture_of_hostile_pieces() -> None:
    choose = random.Random(7)
    for _ in range(4):
        text = b"".join(choose.choice(HOSTILE) * choose.randrange(1, 40) for _ in range(3000))
        text = text[: 128 * 1024]
        assert _timed(functools.partial(ALL.find, text)) < 1.0


def test_rules_are_independent() -> None:
    text = b"ann@example.org 4111111111111111"
    assert [span.name for span in Patterns([EMAIL]).find(text)] == ["email"]
    assert [span.name for span in Patterns([CARD]).find(text)] == ["card"]
