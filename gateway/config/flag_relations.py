"""What flags, audiences and conditions say about each other.

`check_flags` is called by `relations.check`, whose rules hold here; `check_conditions` and
`check_audience_names` serve the targets of rollouts as well.

Rule: what could only fail when somebody asks for a flag fails here: a rule that names no
variant, a pattern that RE2 does not take, a split of nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import re2  # type: ignore[import-untyped]  # no stubs exist

from gateway.config.problems import meant
from gateway.config.rollouts import Audience, Condition, Flag, SplitRule
from gateway.config.schema import Config
from gateway.config.source import join

MOST_FLAGS, MOST_RULES = 1000, 100
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_FIELD = re.compile(
    r"user|key|client|header:[!#$%&'*+.^_`|~0-9A-Za-z-]+|pointer:/.*|[A-Za-z_][\w.-]*", re.ASCII
)
_WITHOUT_VALUES = frozenset({"exists", "absent"})
_OF_TEXTS = frozenset({"prefix", "suffix", "contains", "matches"})
_OF_NUMBERS = frozenset({"above", "below"})


class Findings(Protocol):
    """Where problems go; relations.Findings."""

    def wrong(self, message: str, path: str) -> None: ...
    def doubtful(self, message: str, path: str) -> None: ...


def check_flags(config: Config, found: Findings) -> None:
    """The sections `audiences` and `flags`."""
    for name, audience in config.audiences.items():
        _check_audience(name, audience, join("audiences", name), found)
    if len(config.flags) > MOST_FLAGS:
        found.wrong(f"at most {MOST_FLAGS} flags fit", "flags")
    for key, flag in config.flags.items():
        _check_flag(key, flag, config.audiences, join("flags", key), found)


def check_audience_names(
    names: Iterable[str], known: Iterable[str], path: str, found: Findings
) -> None:
    """Audiences that a rule or a rollout refers to."""
    known = list(known)
    for index, name in enumerate(names):
        if name not in known:
            found.wrong(f"no audience `{name}`{meant(name, known)}", f"{path}[{index}]")


def check_conditions(conditions: Sequence[Condition], path: str, found: Findings) -> None:
    """Each condition by itself: field, operator, values."""
    for index, condition in enumerate(conditions):
        _check_condition(condition, f"{path}[{index}]", found)


def _check_condition(condition: Condition, path: str, found: Findings) -> None:
    if not _FIELD.fullmatch(condition.field):
        message = "expected user, key, client, header:NAME, pointer:/json/pointer or an attribute"
        found.wrong(message, f"{path}.field")
    operator, values = condition.is_, condition.values
    if operator in _WITHOUT_VALUES and values:
        found.wrong(f"`{operator}` takes no values", f"{path}.values")
    elif operator not in _WITHOUT_VALUES and not values:
        found.wrong(f"`{operator}` needs at least one value", path)
    for index, value in enumerate(values):
        fault = _fault_of(operator, value)
        if fault:
            found.wrong(fault, f"{path}.values[{index}]")


def _fault_of(operator: str, value: Any) -> str:
    """What is wrong with a value; "" if nothing is."""
    if not isinstance(value, str | bool | int | float):
        return "expected a text, a number or a boolean"
    if operator in _OF_TEXTS and not isinstance(value, str):
        return f"`{operator}` compares texts; write it in quotes"
    if operator in _OF_NUMBERS and (isinstance(value, str | bool)):
        return f"`{operator}` compares numbers"
    return pattern_fault(str(value)) if operator == "matches" else ""


def pattern_fault(pattern: str) -> str:
    """What RE2 has against a pattern; "" if it takes it."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        return f"this is no pattern of RE2: {_words(error)}"
    return ""


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else error
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def _check_audience(name: str, audience: Audience, path: str, found: Findings) -> None:
    if not _KEY.fullmatch(name):
        found.wrong("a name has 1 to 128 letters, digits and . _ -, a letter or digit first", path)
    check_conditions(audience.where, f"{path}.where", found)
    if not audience.where and not audience.units and audience.share >= 1.0:
        found.doubtful("everybody belongs to this audience", path)
    if audience.share == 0.0:
        found.doubtful("nobody belongs to this audience", f"{path}.share")


def _check_flag(key: str, flag: Flag, audiences: Iterable[str], path: str, found: Findings) -> None:
    if not _KEY.fullmatch(key):
        found.wrong("a key has 1 to 128 letters, digits and . _ -, a letter or digit first", path)
    if not flag.variants:
        found.wrong("at least one variant is needed", f"{path}.variants")
        return
    _check_kinds(flag, f"{path}.variants", found)
    if flag.default not in flag.variants:
        hint = meant(flag.default, flag.variants)
        found.wrong(f"no variant `{flag.default}`{hint}", f"{path}.default")
    if len(flag.rules) > MOST_RULES:
        found.wrong(f"at most {MOST_RULES} rules fit", f"{path}.rules")
    for index, rule in enumerate(flag.rules):
        where = f"{path}.rules[{index}]"
        check_audience_names(rule.audiences, audiences, f"{where}.audiences", found)
        check_conditions(rule.where, f"{where}.where", found)
        _check_serving(rule, flag, where, found)
    for index, rule in enumerate(flag.rules[:-1]):
        if not rule.audiences and not rule.where:
            found.doubtful("the rules after this one never apply", f"{path}.rules[{index}]")


def _check_kinds(flag: Flag, path: str, found: Findings) -> None:
    first, *others = flag.variants
    wanted = kind_of(flag.variants[first])
    for name in (first, *others):
        kind = kind_of(flag.variants[name])
        if not kind:
            found.wrong("expected a boolean, a text, a number or an object", join(path, name))
        elif wanted and kind != wanted:
            message = f"variants are of one kind: this is {kind}, `{first}` is {wanted}"
            found.wrong(message, join(path, name))


def kind_of(value: Any) -> str:
    """Of a variant's value: boolean, number, string, object; "" is none that a flag may have."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict | list | tuple) else ""


def _check_serving(rule: SplitRule, flag: Flag, path: str, found: Findings) -> None:
    if bool(rule.variant) == bool(rule.split):
        found.wrong("expected exactly one of `variant` and `split`", path)
        return
    if rule.variant and rule.variant not in flag.variants:
        hint = meant(rule.variant, flag.variants)
        found.wrong(f"no variant `{rule.variant}`{hint}", f"{path}.variant")
    for name in rule.split:
        if name not in flag.variants:
            hint = meant(name, flag.variants)
            found.wrong(f"no variant `{name}`{hint}", join(f"{path}.split", name))
    if rule.split and not any(rule.split.values()):
        found.wrong("at least one variant needs a weight", f"{path}.split")
