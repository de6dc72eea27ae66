"""JSON values: their texts found, cleaned and put back.

A `Document` holds one decoded value. `places` lists its texts, those in the names of
members once each; numbers as long as a card's count as texts. Each place knows its *lane*:
the path to it, with the elements of arrays by their `index` where they have one, so that
the pieces of one streamed text share a lane.

Rule 1: numbers and texts that hold nothing are as they were; the order of members too.
Rule 2: where something was taken out, what repeats it in other words goes too: log
        probabilities and token ids.

Knows nothing of streams and bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jiter
import orjson

from gateway.payloads.patterns import Patterns
from gateway.payloads.pointers import MARK, Pointer
from gateway.payloads.texts import mark_of

Lane = tuple[Any, ...]

_REPEATS = frozenset({"logprobs", "prompt_logprobs", "token_ids", "prompt_token_ids"})
_LONG_NUMBER = 10**11


class Place(NamedTuple):
    """Where one text is."""

    container: Any  # dict or list
    key: Any  # in it
    lane: Lane = ()

    @property
    def text(self) -> str:
        """What stands there now."""
        return str(self.container[self.key])

    def put(self, text: str) -> None:
        self.container[self.key] = text


class Survey(NamedTuple):
    """What one walk through documents finds."""

    places: list[Place]
    names: dict[str, None]  # of members, each once

    def secret_names(self, patterns: Patterns) -> frozenset[str]:
        return frozenset(filter(patterns.is_secret_name, self.names))


class Document:
    """One value of JSON."""

    __slots__ = ("_holder",)

    def __init__(self, root: Any) -> None:
        self._holder = [root]  # so that the root has a place too

    @property
    def root(self) -> Any:
        return self._holder[0]

    def survey(self, into: Survey | None = None, lane: Lane = ()) -> Survey:
        """Each text of the document in its order, and the names of its members."""
        found = Survey([], {}) if into is None else into
        _walk(self._holder, lane, found)
        return found

    def take_out(self, pointers: Iterable[Pointer]) -> int:
        """Put marks where pointers lead; how many."""
        taken = 0
        for pointer in pointers:
            self._holder[0], count = pointer.take_out(self.root)
            taken += count
        return taken

    def take_out_named(self, names: frozenset[str], patterns: Patterns) -> int:
        """Put marks on members of these names whose value is secret; how many."""
        taken = 0
        for container in _objects(self.root) if names else ():
            for name in names & container.keys():
                value = container[name]
                if type(value) in {str, int} and (rule := patterns.rule_of(name, str(value))):
                    container[name] = mark_of(rule)
                    taken += 1
        return taken

    def take_out_repeats(self) -> int:
        """Put marks on what says the same in tokens; how many."""
        taken = 0
        for container in _objects(self.root):
            for name in _REPEATS & container.keys():
                if container[name] not in (None, MARK):
                    container[name] = MARK
                    taken += 1
        return taken

    def rename(self, names: dict[str, str]) -> None:
        """Give members other names; two that would be called the same are numbered."""
        self._holder[0] = _renamed(self.root, names)

    def encoded(self) -> bytes:
        """The document as JSON on one line."""
        try:
            return orjson.dumps(self.root)
        except TypeError:  # a number above 64 bits
            return json.dumps(self.root, separators=(",", ":")).encode()


def decoded(data: bytes, *, is_cut: bool = False) -> Document | None:
    """The document; of one that was cut, what of it is there; None it is no JSON."""
    try:
        return Document(
            jiter.from_json(
                data,
                allow_inf_nan=False,
                cache_mode="keys",
                partial_mode="trailing-strings" if is_cut else "off",
            )
        )
    except ValueError:
        return None


def _objects(root: Any) -> Iterator[dict[str, Any]]:
    ahead = [root]
    while ahead:
        value = ahead.pop()
        if type(value) is dict:
            yield value
            ahead += value.values()
        elif type(value) is list:
            ahead += value


def _walk(container: Any, lane: Lane, found: Survey) -> None:
    """Cost: half a microsecond a text; depth is bounded by the decoder's."""
    is_list = type(container) is list
    if not is_list:
        found.names.update(container)
    for key, value in enumerate(container) if is_list else container.items():
        kind = type(value)
        if kind is str:
            if value:
                found.places.append(Place(container, key, (lane, key)))
        elif kind is dict or kind is list:
            number = value.get("index", key) if is_list and kind is dict else key
            _walk(value, (lane, number if type(number) in {int, str} else key), found)
        elif kind is int and (value >= _LONG_NUMBER or value <= -_LONG_NUMBER):
            found.places.append(Place(container, key, (lane, key)))


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if type(value) is list:
        return [_renamed(one, names) for one in value]
    if type(value) is not dict:
        return value
    result: dict[str, Any] = {}
    for key, one in value.items():
        wanted = names.get(key) or str(key)
        name = wanted
        count = 1
        while name in result:
            count += 1
            name = f"{wanted} {count}"
        result[name] = _renamed(one, names)
    return result
