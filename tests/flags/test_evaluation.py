"""What a flag's value is, and why."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bucketing import HASHES, bucket_of
from gateway.flags.evaluation import Flags
from gateway.messages import Delivery
from gateway.plan import PPM
from tests.flags.declared import FLAGS, compiled

flags = compiled()


def told(of: Flags, key: str, **context: Any) -> tuple[str, str, object]:
    """(reason or error, variant, value)."""
    found = of.evaluate(key, context)
    value = msgspec.json.decode(found.value) if found.value is not None else None
    return found.error or found.reason, found.variant, value


@pytest.mark.parametrize(
    "key, context, expected",
    [
        ("plain", {}, ("STATIC", "on", True)),
        ("asleep", {}, ("DISABLED", "", None)),
        ("prompt", {"email": "x@example.com"}, ("TARGETING_MATCH", "short", "Be brief.")),
        ("prompt", {"targetingKey": "ann"}, ("TARGETING_MATCH", "short", "Be brief.")),
        ("prompt", {"targetingKey": "bob"}, ("DEFAULT", "long", "Explain.")),
        ("prompt", {}, ("DEFAULT", "long", "Explain.")),
        ("prompt", {"plan": "pro"}, ("TARGETING_KEY_MISSING", "", None)),
        ("limit", {}, ("TARGETING_KEY_MISSING", "", None)),
        ("limit", {"targetingKey": ""}, ("TARGETING_KEY_MISSING", "", None)),
        ("limit", {"targetingKey": True}, ("TARGETING_KEY_MISSING", "", None)),
        ("shape", {}, ("STATIC", "b", {})),
        ("nothing", {}, ("FLAG_NOT_FOUND", "", None)),
    ],
)
def test_reason_variant_and_value(
    key: str, context: dict[str, Any], expected: tuple[str, str, object]
) -> None:
    assert told(flags, key, **context) == expected


def test_a_key_that_is_near_is_told() -> None:
    assert flags.evaluate("plan", {}).details == (
        "There is no flag of this key, did you mean `plain`?"
    )
    assert flags.evaluate("zzz", {}).details == "There is no flag of this key."


def test_split_is_drawn_by_the_unit_and_kept() -> None:
    seen = Counter(
        told(flags, "prompt", plan="pro", targetingKey=f"user-{n}")[:2] for n in range(4000)
    )
    assert set(seen) == {("SPLIT", "short"), ("SPLIT", "long")}
    assert 900 < seen["SPLIT", "short"] < 1100
    assert all(
        told(flags, "prompt", plan="pro", targetingKey=f"user-{n}")
        == told(compiled(), "prompt", plan="pro", targetingKey=f"user-{n}")
        for n in range(50)
    )


def test_number_draws_like_the_text_that_is_written_like_it() -> None:
    assert told(flags, "limit", targetingKey=7) == told(flags, "limit", targetingKey="7")


@pytest.mark.parametrize("hash_name", HASHES)
def test_every_hash_draws_with_the_salt_and_unit_of_the_flag(hash_name: str) -> None:
    carried = compiled(
        carried={
            "variants": {"a": "a", "b": "b"},
            "default": "a",
            "unit": "account",
            "salt": "theirs",
            "hash": hash_name,
            "rules": [{"split": {"a": 30, "b": 70}}],
        }
    )
    for n in range(200):
        bucket = bucket_of(f"acct-{n}".encode(), "theirs", hash_name)
        expected = "a" if bucket < 0.3 * PPM else "b"
        assert told(carried, "carried", account=f"acct-{n}")[1] == expected


def test_forced_variant_is_everybody_s() -> None:
    forced = compiled(Delivery(flags={"prompt": "long", "asleep": "on"}))
    assert told(forced, "prompt", targetingKey="ann") == ("STATIC", "long", "Explain.")
    assert told(forced, "asleep") == ("STATIC", "on", True)


def test_flag_that_was_switched_off_has_no_value() -> None:
    assert told(compiled(Delivery(flags={"prompt": ""})), "prompt") == ("DISABLED", "", None)


def test_variant_that_is_gone_forces_nobody() -> None:
    stale = compiled(Delivery(flags={"prompt": "medium", "gone": "on"}))
    assert told(stale, "prompt") == told(flags, "prompt")
    assert told(stale, "gone")[0] == "FLAG_NOT_FOUND"


def test_kill_switch_takes_all_values_away() -> None:
    off = compiled(Delivery(off=("feature.flags",), flags={"prompt": "long"}))
    assert {each.reason for each in off.all({})} == {"DISABLED"}
    assert told(off, "nothing")[0] == "FLAG_NOT_FOUND"


def test_all_are_in_the_order_of_the_configuration() -> None:
    assert [each.key for each in flags.all({})] == list(FLAGS)
    assert len(flags) == len(FLAGS)


def test_pointer_looks_into_a_context() -> None:
    deep = compiled(
        deep={
            "variants": {"a": "a", "b": "b"},
            "default": "a",
            "rules": [{"where": [{"field": "pointer:/a~1b/0/c", "values": ["x"]}], "variant": "b"}],
        }
    )
    assert told(deep, "deep", **{"a/b": [{"c": "x"}]})[1] == "b"
    assert told(deep, "deep", **{"a/b": [{}]})[1] == "a"
    assert told(deep, "deep", **{"a/b": "x"})[1] == "a"


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(("targetingKey", "email", "plan"))


@given(st.dictionaries(names, json), st.sampled_from([*FLAGS, "nothing"]))
def test_no_context_raises(context: dict[str, Any], key: str) -> None:
    found = flags.evaluate(key, context)
    assert bool(found.error) == (found.reason == "ERROR")
    assert (found.value is None) == (not found.variant)
