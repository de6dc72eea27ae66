"""Stream events by definition: split all of the text, decode every event, then count."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.reference.splice import Number, decode, point

LINE = re.compile(rb"([^\r\n]*)(\r\n|\r|\n|\Z)")
FINISHES = {"": 0, "stop": 1, "length": 2, "tool_calls": 3, "content_filter": 4}


@dataclass
class Seen:
    done: bool = False
    finished: bool = False
    failed: bool = False
    overflowed: bool = False
    count: int = 0
    withheld: int = 0
    malformed: int = 0
    input_tokens: int = -1
    output_tokens: int = -1
    cached_tokens: int = -1
    finish: int = 0


@dataclass
class Marks:
    """As gateway._fast.marks.Marks."""

    done: str = "[DONE]"
    usage: tuple[str, ...] = ("/usage",)
    input_tokens: tuple[str, ...] = ("/prompt_tokens", "/input_tokens")
    output_tokens: tuple[str, ...] = ("/completion_tokens", "/output_tokens")
    cached_tokens: tuple[str, ...] = (
        "/prompt_tokens_details/cached_tokens",
        "/input_tokens_details/cached_tokens",
    )
    ended: dict[str, str] = field(default_factory=dict)
    failing: tuple[str, ...] = ("error",)
    done_member: str = ""
    finish_reason: bool = True
    limit: int = 262144


@dataclass
class Event:
    start: int
    end: int  # behind the line feed that belongs to its last line
    size: int  # up to the byte that showed its end
    is_whole: bool
    lines: list[tuple[bytes, int]]  # and where each ends, one byte of line end included


def sse_events(data: bytes) -> Iterator[Event]:
    lines: list[tuple[bytes, int]] = []
    start = 0
    for match in LINE.finditer(data):
        text, ending = match.groups()
        if not lines and (text[:1] == b":" or not text):
            continue
        start = start if lines else match.start()
        is_last = ending == b""
        if text or not is_last:
            lines.append((text, match.end(1) + 1))
        if not text or is_last:
            late = not is_last and ending == b"\r\n"
            yield Event(start, match.end(), match.end() - start - late, not is_last, lines)
            lines = []


def ndjson_events(data: bytes) -> Iterator[Event]:
    for match in re.finditer(rb"([^\n]+)(\n|\Z)", data):
        size = match.end() - match.start()
        yield Event(match.start(), match.end(), size, match[2] != b"", [(match[1], match.end())])


def values(lines: list[bytes], name: bytes) -> list[bytes]:
    """The values of a field, in order."""
    found = [re.fullmatch(re.escape(name) + rb"(?:: ?(.*))?", line, re.DOTALL) for line in lines]
    return [match[1] or b"" for match in found if match]


def get(value: Any, pointer: str) -> Any:
    try:
        return point(value, pointer)
    except (KeyError, IndexError):
        return None


class Reader:
    """Everything fed, read at the end."""

    def __init__(
        self,
        marks: Marks,
        *,
        ndjson: bool = False,
        withhold_usage: bool = False,
        choices: int = 1,
    ) -> None:
        self.marks, self.ndjson, self.withhold, self.n = marks, ndjson, withhold_usage, choices
        self.seen = Seen()
        self.choices: set[int] = set()

    def read(self, data: bytes) -> bytes:
        """What was relayed of data."""
        relayed, at = b"", 0
        for event in ndjson_events(data) if self.ndjson else sse_events(data):
            if event.size > self.marks.limit:
                self.pass_long(event)
            elif self.look(event):
                self.seen.withheld += 1
                relayed, at = relayed + data[at : event.start], event.end
        return relayed + data[at:]

    def pass_long(self, event: Event) -> None:
        self.seen.overflowed = True
        self.seen.count += 1
        limit = event.start + self.marks.limit
        names = values([line for line, end in event.lines if end <= limit], b"event")
        if names and event.is_whole and not self.ndjson:
            self.apply(names[-1].decode("utf-8", "replace"))

    def look(self, event: Event) -> bool:
        lines = [line for line, _ in event.lines]
        if self.ndjson:
            data, name = lines, ""
            self.seen.count += lines[0].strip(b" \t\r") != b""
        else:
            if event.start == 0:
                lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
            data = values(lines, b"data")
            self.seen.count += data != []
            name = ([b"", *values(lines, b"event")])[-1].decode("utf-8", "replace")
        if name in self.marks.failing:
            self.apply(name)
        text = b"\n".join(data).strip(b" \t\r\n")
        if text == self.marks.done.encode() and text:
            self.seen.done = self.seen.finished = True
            return False
        return text != b"" and self.study(text, name)

    def study(self, text: bytes, name: str) -> bool:
        try:
            event = decode(text, dict)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            self.seen.malformed += 1
            return False
        self.apply(name)
        if type(event.get("type")) is str:
            self.apply(event["type"])
        self.seen.failed |= event.get("error") is not None
        if self.marks.done_member and event.get(self.marks.done_member) is True:
            self.seen.done = self.seen.finished = True
        has_usage = self.read_usage(event)
        self.read_choices(event.get("choices") if self.marks.finish_reason else None)
        return (
            self.withhold
            and has_usage
            and self.marks.finish_reason
            and (event.get("choices") == [])
        )

    def apply(self, name: str) -> None:
        if name in self.marks.ended:
            self.seen.finished = True
            self.seen.finish = FINISHES.get(self.marks.ended[name], 5) or self.seen.finish
        elif name in self.marks.failing:
            self.seen.failed = True

    def read_usage(self, event: dict[str, Any]) -> bool:
        found = [get(event, pointer) for pointer in self.marks.usage]
        usage = next((value for value in found if isinstance(value, dict)), None)
        if usage is None:
            return False
        for name in ("input_tokens", "output_tokens", "cached_tokens"):
            figures = [get(usage, pointer) for pointer in getattr(self.marks, name)]
            plain = [
                int(figure)
                for figure in figures
                if isinstance(figure, Number) and re.fullmatch("[0-9]{1,18}", figure)
            ]
            if plain:
                setattr(self.seen, name, plain[0])
        return True

    def read_choices(self, choices: Any) -> None:
        for choice in choices if isinstance(choices, list) else []:
            reason = choice.get("finish_reason") if isinstance(choice, dict) else None
            if type(reason) is str:
                index = choice.get("index")
                is_plain = isinstance(index, Number) and re.fullmatch("[0-9]{1,18}", index)
                self.choices.add(int(index) % 64 if is_plain else 0)
                self.seen.finish = FINISHES.get(reason, 5)
        self.seen.finished |= len(self.choices) >= self.n
