"""The signals of feedback: what each takes as its value, and how that is kept.

    accept      true or false                                 true, false
    edit        `distance` 0 … 1, or `count` of edits         0.25, {"count": 3}
    regenerate  nothing, or how often                         2
    ticket      nothing, or its name                          "SUP-118"
    task        whether it was completed                      true, false
    thumbs      up or down                                    true, false
    score       a number; with a `range`, within it           4, {"score": 4, "range": [1, 5]}
    label       what is true: any JSON that is small          "fraud", {"class": 3}
    comment     a text

Rule: every text, number and value is bounded; what is wrong is one sentence that begins
      with the member's name.

Knows nothing of bodies and records: `reading` and `writing` do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.config.problems import meant

MAX_VALUE_BYTES = 4096
MOST_NESTED = 8

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]  # as the gateway's request ids
Key = Annotated[str, Meta(max_length=256)]
Name = Annotated[str, Meta(max_length=128)]
Moment = Annotated[str, Meta(max_length=40)]
Text = Annotated[str, Meta(max_length=8192)]
Share = Annotated[float, Meta(ge=0, le=1)]
Times = Annotated[int, Meta(ge=0, le=1_000_000)]


class GivenSignal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One signal as the product sends it."""

    request_id: Id = ""  # the answer's `x-request-id`
    id: Key = ""  # the same; beside `request_id`, the idempotency key
    signal: Name = ""  # accept, edit, regenerate, ticket, task, thumbs, score, label, comment
    value: Any = UNSET  # as the signal wants it
    distance: Share | UnsetType = UNSET  # of an edit
    count: Times | UnsetType = UNSET  # of edits, or of answers asked for again
    range: tuple[float, float] | UnsetType = UNSET  # of a score
    name: Name = ""  # of a score, where there are several
    label: Any = UNSET  # the value of a label
    ground_truth: Any = UNSET  # the same
    comment: Text = ""  # of any signal
    source: Name = ""  # who says so: a part of the product, a person
    happened_at: Moment = ""  # RFC 3339 with its zone, if not now
    idempotency_key: Key = ""  # the same key, request and signal count once
    # as other gateways name them
    inference_id: Id = ""  # request_id
    metric_name: Name = ""  # signal; a name that is none is that of a score


class Signal(Struct, frozen=True, kw_only=True):
    """One signal, checked."""

    request_id: str
    signal: str
    value: Any = UNSET
    comment: str = ""
    source: str = ""
    happened_at: str = ""
    key: str = ""  # its idempotency key; "" none


class WrongSignal(Exception):
    """What is wrong with one signal, without its place."""


def signal_of(given: GivenSignal) -> Signal:
    request_id, key = _names_of(given)
    signal, given = _kind_of(given)
    value = SIGNALS[signal](given)
    if value is not UNSET:
        _check_size(value)
    return Signal(
        request_id=request_id,
        signal=signal,
        value=value,
        comment=_comment_of(signal, given),
        source=given.source,
        happened_at=_moment(given.happened_at),
        key=key,
    )


def _names_of(given: GivenSignal) -> tuple[str, str]:
    """The request that is meant, and the idempotency key."""
    named = given.request_id or given.inference_id
    request_id, key = (named, given.id) if named else (given.id, "")
    if not request_id:
        raise WrongSignal("`request_id` is missing: the `x-request-id` of the answer it is about")
    if not named and not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", request_id, re.ASCII):
        raise WrongSignal("`id` has 1 to 64 letters, digits and . _ -")
    return request_id, given.idempotency_key or key


def _kind_of(given: GivenSignal) -> tuple[str, GivenSignal]:
    """The signal's own name; what its other name already says is filled in."""
    name = given.signal or given.metric_name
    if not name and (given.label is not UNSET or given.ground_truth is not UNSET):
        name = "label"
    if not name:
        raise WrongSignal(f"`signal` is missing: one of {', '.join(SIGNALS)}")
    if name in SIGNALS:
        return name, given
    if name in OTHER_NAMES:
        signal, value = OTHER_NAMES[name]
        if value is not UNSET and given.value not in (UNSET, True):
            raise WrongSignal(f"`{name}` takes no `value`")
        return signal, given if value is UNSET else _with(given, value=value)
    if given.signal:
        raise WrongSignal(f"`{name}` is no signal{meant(name, SIGNALS).rstrip('?')}")
    if isinstance(given.value, bool):  # a metric of the product's own
        return "score", _with(given, value=int(given.value), range=(0.0, 1.0), name=name)
    return "score", _with(given, name=name)


def _with(given: GivenSignal, **changes: Any) -> GivenSignal:
    return msgspec.structs.replace(given, **changes)


def _accept(given: GivenSignal) -> object:
    _only(given, "accept")
    return _boolean(given, True)


def _edit(given: GivenSignal) -> object:
    _only(given, "edit", "distance", "count")
    if given.value is not UNSET:
        if given.distance is not UNSET:
            raise WrongSignal("`value` and `distance` of an edit are the same; give one")
        if not _is_number(given.value) or not 0 <= given.value <= 1:
            raise WrongSignal(
                "`value` of an edit is its distance, 0 to 1; a number of edits is `count`"
            )
    distance = given.value if given.value is not UNSET else given.distance
    if given.count is UNSET:
        return distance
    counted = {"count": given.count}
    return counted if distance is UNSET else {"distance": distance, **counted}


def _regenerate(given: GivenSignal) -> object:
    _only(given, "regenerate", "count")
    value = given.count if given.value is UNSET else given.value
    if value is not UNSET and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise WrongSignal("`value` of a regenerate is how often, a whole number from 1")
    return value


def _ticket(given: GivenSignal) -> object:
    _only(given, "ticket")
    if given.value is not UNSET and not _is_text(given.value, 256):
        raise WrongSignal("`value` of a ticket is its name, a text of at most 256 characters")
    return given.value


def _task(given: GivenSignal) -> object:
    _only(given, "task")
    return _boolean(given, UNSET)


def _thumbs(given: GivenSignal) -> object:
    _only(given, "thumbs")
    words = {"up": True, "down": False, 1: True, -1: False}
    value = given.value
    if isinstance(value, bool):
        return value
    if not isinstance(value, str | int) or value not in words:
        raise WrongSignal('`value` of thumbs is "up" or "down"')
    return words[value]


def _score(given: GivenSignal) -> object:
    _only(given, "score", "range", "name")
    value = given.value
    if not _is_number(value):
        raise WrongSignal("`value` of a score is a number")
    kept: dict[str, object] = {"score": value}
    if given.range is not UNSET:
        low, high = given.range
        if not low < high:
            raise WrongSignal("`range` is the lowest and the highest score, such as [1, 5]")
        if not low <= value <= high:
            raise WrongSignal("`value` is outside of `range`")
        kept["range"] = [_whole(low), _whole(high)]
    if given.name:
        kept["name"] = given.name
    return kept if len(kept) > 1 else value


def _label(given: GivenSignal) -> object:
    _only(given, "label", "label", "ground_truth")
    members = ("value", "label", "ground_truth")
    values = [getattr(given, name) for name in members if getattr(given, name) is not UNSET]
    if len(values) != 1:
        how = "once, not twice" if values else "as `value`"
        raise WrongSignal(f"a label says what is true {how}")
    return values[0]


def _comment(given: GivenSignal) -> object:
    _only(given, "comment")
    return UNSET


SIGNALS: Mapping[str, Callable[[GivenSignal], object]] = {
    "accept": _accept,
    "edit": _edit,
    "regenerate": _regenerate,
    "ticket": _ticket,
    "task": _task,
    "thumbs": _thumbs,
    "score": _score,
    "label": _label,
    "comment": _comment,
}
OTHER_NAMES: Mapping[str, tuple[str, object]] = {
    "task_completion": ("task", UNSET),
    "task_success": ("task", UNSET),
    "thumbs_up": ("thumbs", True),
    "thumbs_down": ("thumbs", False),
    "rating": ("score", UNSET),
    "ground_truth": ("label", UNSET),
    "demonstration": ("label", UNSET),
}
_SPECIAL = ("distance", "count", "range", "name", "label", "ground_truth")


def _only(given: GivenSignal, signal: str, *allowed: str) -> None:
    """Refuses members that mean something for other signals only."""
    for name in _SPECIAL:
        if name not in allowed and getattr(given, name) not in (UNSET, ""):
            raise WrongSignal(f"`{name}` says nothing about the signal `{signal}`")


def _boolean(given: GivenSignal, default: object) -> object:
    value = default if given.value is UNSET else given.value
    if not isinstance(value, bool):
        raise WrongSignal("`value` is true or false")
    return value


def _is_number(value: object) -> bool:
    """A number that a reader who knows doubles only has as well."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= 2**53 if isinstance(value, int) else True


def _is_text(value: object, most: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= most


def _whole(number: float) -> float:
    return int(number) if number.is_integer() else number


def _comment_of(signal: str, given: GivenSignal) -> str:
    if signal != "comment":
        return given.comment
    text = given.comment or given.value
    if given.comment and given.value is not UNSET:
        raise WrongSignal("a comment is given once, as `comment` or as `value`")
    if not _is_text(text, 8192):
        raise WrongSignal("`comment` is a text of 1 to 8192 characters")
    return str(text)


def _check_size(value: object) -> None:
    if len(msgspec.json.encode(value)) > MAX_VALUE_BYTES:
        raise WrongSignal(f"`value` is longer than {MAX_VALUE_BYTES} bytes")
    if _depth(value) > MOST_NESTED:
        raise WrongSignal(f"`value` is nested deeper than {MOST_NESTED}")


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0) if isinstance(value, dict | list) else 0


def _moment(text: str) -> str:
    """In the form of `time`."""
    try:
        at = datetime.fromisoformat(text) if text else None
        is_sound = at is None or at.tzinfo is not None
        moment = stamp(at.astimezone(UTC)) if at and is_sound else ""
    except (ValueError, OverflowError):
        is_sound, moment = False, ""
    if not is_sound:
        raise WrongSignal("`happened_at` is a time with its zone, such as 2026-01-31T12:00:00Z")
    return moment


def stamp(at: datetime) -> str:
    """As all times of the log: RFC 3339, UTC, microseconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
