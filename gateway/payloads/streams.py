"""Streamed answers, event by event: server-sent events, and a JSON value a line.

An answer comes in pieces, and so may a secret in it: `"sk-"` in one event, the rest in the
next. So the texts that have the same place in each event (the deltas of one choice, the
arguments of one tool call) are put together before they are searched, and what is found is
blanked where it was; each event stays an event.

Cost: `may_hold` says of most streams that there is nothing, from the raw bytes; otherwise
each event is decoded, about 10 us each.

Rule 1: of a stream that was cut, the last event and the end of each text go, in which half
        a secret could stand.
Rule 2: numbers, order and names of events are as they were; their line ends become LF.

Whatwg HTML, section 9.2 "Server-sent events".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from gateway.payloads.documents import Document, Lane, Place, Survey, decoded
from gateway.payloads.patterns import Patterns, expression
from gateway.payloads.pointers import Pointer
from gateway.payloads.texts import LONGEST_HALF, Texts, without_end

# Members at the top of an event that say which of several texts it goes on with.
_LANE_NAMES = ("type", "output_index", "content_index", "summary_index", "index")
_MEMBER = re.compile(rb'"([^"\\]*+)"\s*+:\s*+"((?:[^"\\]++|\\.)*+)"')
# More than one text at a time, texts in arrays, or events that are no objects.
_UNUSUAL = expression(
    rb'index"\s*:\s*[1-9]|[\[,]\s*"[^"]*"\s*[,\]]|(?m:^data: ?(?:[^{\[\r\n ]|\[[^D]))'
)
_NEXT = b"\ndata:"
_OPENING = re.compile(rb'"\s*+:\s*+"')


class Event:
    """One event: its other lines, and its data as a document."""

    __slots__ = ("document", "is_json", "lines")

    def __init__(self, lines: list[str], data: str | None) -> None:
        self.lines = lines
        document = decoded(data.encode()) if data is not None else None
        self.is_json = document is not None
        self.document = document or (None if data is None else Document(data))

    def lane(self) -> Lane:
        """What tells the texts of this event from those of others."""
        root = self.document.root if self.document else None
        if type(root) is not dict:
            return ()
        return tuple(
            [
                (name, root[name])
                for name in _LANE_NAMES
                if name in root and type(root[name]) in {int, str}
            ]
        )

    def text(self) -> str | None:
        """The data as it is written in a stream; None there is none."""
        if self.document is None:
            return None
        root = self.document.root
        return self.document.encoded().decode() if self.is_json else str(root)


def may_hold(data: bytes, patterns: Patterns) -> bool:
    """Whether it is worth looking closely at a stream.

    Pieces of one text are found by the name of their member, which serves as long as the
    stream has one text of each name at a time.
    """
    if patterns.may_be_in(data) or _UNUSUAL.is_in(data):
        return True
    varied = (b"".join(one) for one in _texts_by_name(data).values() if _are_varied(one))
    return patterns.may_be_in(b"\n".join(varied))


def goes_on(data: bytes, limit: int) -> bool:
    """Whether each text goes on so far behind the limit that none has half a secret before it.

    `data` is a stream of which may_hold says no.
    """
    ahead = _texts_by_name(data[limit:])
    return all(
        sum(map(len, ahead.get(name, ()))) > LONGEST_HALF
        for name, pieces in _texts_by_name(data[:limit]).items()
        if _are_varied(pieces)
    )


def _texts_by_name(data: bytes) -> dict[bytes, list[bytes]]:
    """The values of all members of a name, as they are written, in their order.

    Cost: events differ in little, so what they begin with is read once.
    """
    head = _shared_head(data)
    repeated = _MEMBER.findall(head + b'"')
    result: dict[bytes, list[bytes]] = {}
    first, *parts = data.split(head) if head else [data]
    for name, value in _MEMBER.findall(first):
        result.setdefault(name, []).append(value)
    for part in parts:
        for name, value in repeated[:-1]:
            result.setdefault(name, []).append(value)
        for name, value in _MEMBER.findall(b'"":"' + part):
            result.setdefault(name or repeated[-1][0], []).append(value)
    return result


def _shared_head(data: bytes) -> bytes:
    """What two events in the middle begin with, up to where a text begins; b"" nothing."""
    first = data.find(_NEXT, len(data) // 2) + 1
    second = data.find(_NEXT, first) + 1
    if not first or not second:
        return b""
    pairs = enumerate(zip(data[first:second], data[second:], strict=False))
    differs = next((place for place, (one, other) in pairs if one != other), 0)
    shared = data[first : first + differs]
    return shared[: max((one.end() for one in _OPENING.finditer(shared)), default=0)]


def _are_varied(pieces: Sequence[object]) -> bool:
    first = pieces[0]
    return any(one != first for one in pieces)


class Stream:
    """The events of one answer."""

    def __init__(self, data: bytes, *, is_lines: bool, is_cut: bool) -> None:
        text = data.decode("utf-8", "replace")
        self._is_lines = is_lines
        self._events = list(_lines_of(text, is_cut) if is_lines else _events_of(text, is_cut))

    def take_out(self, pointers: Iterable[Pointer]) -> int:
        """Put marks where pointers lead in each event; how many."""
        wanted = tuple(pointers)
        return sum(one.document.take_out(wanted) for one in self._events if one.document)

    def clean(self, texts: Texts, patterns: Patterns) -> int:
        """Take out what the patterns find; how many places."""
        before = texts.redacted
        found = self._survey()
        names = found.secret_names(patterns)
        documents = [one.document for one in self._events if one.document]
        named = sum(one.take_out_named(names, patterns) for one in documents)
        for places in _lanes(found):
            _put(places, texts.clean_lane([place.text for place in places]))
        # what is whole within one event, names and other lines included
        places = found.places + [
            Place(event.lines, number)
            for event in self._events
            for number in range(len(event.lines))
        ]
        _put(places, texts.clean([place.text for place in places]))
        changed = texts.clean_names(found.names)
        for document in documents if changed else ():
            document.rename(changed)
        taken = texts.redacted - before + named
        return taken + (sum(one.take_out_repeats() for one in documents) if taken else 0)

    def cut(self) -> None:
        """Take the end of each text, which goes on where the stream was cut."""
        for places in _lanes(self._survey()):
            _put(places, without_end([place.text for place in places]))

    def _survey(self) -> Survey:
        found = Survey([], {})
        for event in self._events:
            if event.document:
                event.document.survey(found, event.lane())
        return found

    def encoded(self) -> bytes:
        if self._is_lines:
            return "".join(f"{one.text()}\n" for one in self._events).encode("utf-8", "replace")
        blocks = (_block(event) for event in self._events)
        return "".join(blocks).encode("utf-8", "replace")


def _lanes(found: Survey) -> list[list[Place]]:
    """Texts that come in pieces: more than one of them, not always the same."""
    lanes: dict[Lane, list[Place]] = {}
    for place in found.places:
        lanes.setdefault(place.lane, []).append(place)
    return [lane for lane in lanes.values() if _are_varied([one.text for one in lane])]


def _put(places: Sequence[Place], texts: dict[int, str]) -> None:
    for number, text in texts.items():
        places[number].put(text)


def _lines_of(text: str, is_cut: bool) -> Iterator[Event]:
    lines = text.splitlines()
    return (Event([], line) for line in (lines[:-1] if is_cut else lines))


def _events_of(text: str, is_cut: bool) -> Iterator[Event]:
    blocks = text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
    if is_cut:
        blocks.pop()
    for block in blocks:
        lines = block.split("\n")
        data = [line[5:].removeprefix(" ") for line in lines if line.startswith("data:")]
        others = [line for line in lines if line and not line.startswith("data:")]
        if data or others:
            yield Event(others, "\n".join(data) if data else None)


def _block(event: Event) -> str:
    text = event.text()
    data = [] if text is None else [f"data: {line}" for line in text.split("\n")]
    return "\n".join([*event.lines, *data]) + "\n\n"
