"""Flags, audiences and conditions: what is wrong with them, where, in which words."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.flag_relations import pattern_fault
from tests.config.texts import document, problems_of

FLAG: dict[str, Any] = {"variants": {"on": True, "off": False}, "default": "off"}
NAME = "a name has 1 to 128 letters, digits and . _ -, a letter or digit first"


def flags(**changes: Any) -> dict[str, Any]:
    return {"flags": {"beta": FLAG | changes}}


def rule(**members: Any) -> dict[str, Any]:
    return flags(rules=[members])


def when(**members: Any) -> dict[str, Any]:
    return rule(where=[{"field": "plan"} | members], variant="on")


IN_RULE = "flags.beta.rules[0]"
VALUE = f"{IN_RULE}.where[0].values[0]"


@pytest.mark.parametrize(
    "top, path, message",
    [
        (flags(default="of"), "flags.beta.default", "no variant `of`, did you mean `off`?"),
        (flags(variants={}), "flags.beta.variants", "at least one variant is needed"),
        (
            flags(variants={"on": True, "off": "no"}),
            "flags.beta.variants.off",
            "variants are of one kind: this is string, `on` is boolean",
        ),
        (
            flags(variants={"on": True, "off": 0}),
            "flags.beta.variants.off",
            "variants are of one kind: this is number, `on` is boolean",
        ),
        (
            flags(variants={"on": True, "off": None}),
            "flags.beta.variants.off",
            "expected a boolean, a text, a number or an object",
        ),
        (rule(), IN_RULE, "expected exactly one of `variant` and `split`"),
        (
            rule(variant="on", split={"on": 1}),
            IN_RULE,
            "expected exactly one of `variant` and `split`",
        ),
        (rule(variant="onn"), f"{IN_RULE}.variant", "no variant `onn`, did you mean `on`?"),
        (rule(split={"no": 1}), f"{IN_RULE}.split.no", "no variant `no`; known: on, off"),
        (rule(split={"on": 0}), f"{IN_RULE}.split", "at least one variant needs a weight"),
        (
            rule(audiences=["pros"], variant="on"),
            f"{IN_RULE}.audiences[0]",
            "no audience `pros`",
        ),
        (when(), f"{IN_RULE}.where[0]", "`in` needs at least one value"),
        (
            when(**{"is": "exists", "values": [1]}),
            f"{IN_RULE}.where[0].values",
            "`exists` takes no values",
        ),
        (when(values=[None]), VALUE, "expected a text, a number or a boolean"),
        (
            when(**{"is": "prefix", "values": [1]}),
            VALUE,
            "`prefix` compares texts; write it in quotes",
        ),
        (when(**{"is": "above", "values": ["1"]}), VALUE, "`above` compares numbers"),
        (
            when(**{"is": "matches", "values": ["(a"]}),
            VALUE,
            "this is no pattern of RE2: missing ): (a",
        ),
        (
            rule(where=[{"field": "header:a b", "values": ["x"]}], variant="on"),
            f"{IN_RULE}.where[0].field",
            "expected user, key, client, header:NAME, pointer:/json/pointer or an attribute",
        ),
        (
            {"flags": {"a/b": FLAG}},
            'flags["a/b"]',
            NAME.replace("name", "key"),
        ),
        ({"audiences": {"a b": {"units": ["x"]}}}, 'audiences["a b"]', NAME),
        (
            {"audiences": {"eu": {"where": [{"field": "plan"}]}}},
            "audiences.eu.where[0]",
            "`in` needs at least one value",
        ),
    ],
)
def test_wrong_flag_is_told(top: dict[str, Any], path: str, message: str) -> None:
    assert problems_of({}, **top) == {path: message}


def test_there_is_room_for_a_thousand_flags_of_a_hundred_rules() -> None:
    many = {f"flag-{number}": FLAG for number in range(1001)}
    assert problems_of({}, flags=many) == {"flags": "at most 1000 flags fit"}
    rules = [
        {"where": [{"field": "n", "values": [number]}], "variant": "on"} for number in range(101)
    ]
    assert problems_of({}, **flags(rules=rules)) == {"flags.beta.rules": "at most 100 rules fit"}


def test_sound_flags_are_no_problem() -> None:
    rules = [
        {"audiences": ["eu"], "variant": "on"},
        {"where": [{"field": "pointer:/a/b", "is": "absent"}], "split": {"on": 1, "off": 3}},
        {
            "where": [{"field": "header:x-a", "is": "matches", "values": ["^v[12]"]}],
            "variant": "on",
        },
        {"split": {"on": 5, "off": 95}},
    ]
    audience = {"where": [{"field": "region", "values": ["eu"]}], "share": "50%"}
    found = document({}, audiences={"eu": audience}, **flags(rules=rules))
    assert found.config.flags["beta"].rules[1].where[0].is_ == "absent"
    assert not [one for one in found.warnings if one.path.startswith(("flags", "audiences"))]


def test_rules_that_never_apply_are_doubtful() -> None:
    rules = [{"variant": "on"}, {"variant": "off"}]
    warnings = {one.path: one.message for one in document({}, **flags(rules=rules)).warnings}
    assert warnings["flags.beta.rules[0]"] == "the rules after this one never apply"


@pytest.mark.parametrize(
    "audience, path, message",
    [
        ({}, "audiences.eu", "everybody belongs to this audience"),
        ({"share": "0%"}, "audiences.eu.share", "nobody belongs to this audience"),
    ],
)
def test_audience_of_all_or_none_is_doubtful(
    audience: dict[str, Any], path: str, message: str
) -> None:
    found = document({}, audiences={"eu": audience})
    assert {one.path: one.message for one in found.warnings}[path] == message


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "a{2000}"])
def test_what_re2_does_not_know_is_told(pattern: str) -> None:
    assert pattern_fault(pattern).startswith("this is no pattern of RE2: ")


def test_sound_pattern_has_no_fault() -> None:
    assert pattern_fault(r"^gpt-4(o|\.1)?") == ""
