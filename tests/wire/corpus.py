"""The corpora: cases written as text, read into structs.

A case is bytes, the rule they test and what must happen; requests/request_line.http and
responses/status_line.http say how they are written. Knows nothing of any parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.seen import Seen

FOLDER = Path(__file__).parent
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|\{(\d+)\*(.*?)\}|([rnt0\\]))", re.DOTALL)
_SIMPLE = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


@dataclass(frozen=True)
class Verdict:
    """One acceptable fate of a message."""

    kind: str  # accept, answer, refuse, wait; pass, fail
    status: int = 0  # 0 any
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.kind} {self.status or ''}".strip()


@dataclass(frozen=True)
class Case:
    name: str
    file: str
    rule: str
    data: bytes
    expect: tuple[tuple[Verdict, ...], ...]  # one tuple of alternatives for each message
    sees: tuple[Seen, ...] = ()
    unseen: tuple[str, ...] = ()
    closes: str = "no"
    h11: str = ""
    method: str = "GET"
    end: str = "open"
    reuse: str = "yes"

    @property
    def id(self) -> str:
        return f"{self.file}: {self.name}"

    def may_be(self, kind: str) -> bool:
        """Whether its last message may end so."""
        return any(verdict.kind == kind for verdict in self.expect[-1])

    @property
    def is_refused(self) -> bool:
        return all(verdict.kind in ("refuse", "wait") for verdict in self.expect[-1])

    def statuses(self) -> set[int]:
        return {verdict.status for verdict in self.expect[-1]}


def unescaped(text: str) -> bytes:
    return _ESCAPE.sub(_replaced, text).encode("latin-1")


def _replaced(match: re.Match[str]) -> str:
    code, times, repeated, simple = match.groups()
    if code:
        return chr(int(code, 16))
    if times:
        return _ESCAPE.sub(_replaced, repeated) * int(times)
    return _SIMPLE[simple]


def requests() -> list[Case]:
    return [case for path in _files("requests") for case in read(path)]


def responses() -> list[Case]:
    return [case for path in _files("responses") for case in read(path)]


def _files(kind: str) -> list[Path]:
    return sorted((FOLDER / kind).glob("*.http"))


def read(path: Path) -> Iterator[Case]:
    """Each case of one file, in order."""
    blocks = re.split(r"(?m)^### ", path.read_text())[1:]
    for block in blocks:
        name, *lines = block.split("\n")
        yield _case(name, path.stem, [line for line in lines if line])


def _case(name: str, file: str, lines: list[str]) -> Case:
    facts: dict[str, list[str]] = {}
    data = ""
    for line in lines:
        if line.startswith("# ") and not data:
            key, _, value = line[2:].partition(":")
            facts.setdefault(key, []).append(value.strip())
        else:
            data += line
    one = {key: values[0] for key, values in facts.items() if key not in ("sees", "unseen")}
    return Case(
        name=name,
        file=file,
        rule=one.pop("rule"),
        data=unescaped(data),
        expect=tuple(_verdicts(text) for text in one.pop("expect").split(";")),
        sees=tuple(_seen(text) for text in facts.get("sees", ())),
        unseen=tuple(facts.get("unseen", ())),
        **one,
    )


def _verdicts(text: str) -> tuple[Verdict, ...]:
    return tuple(_verdict(one.strip()) for one in text.split("|"))


def _verdict(text: str) -> Verdict:
    kind, _, rest = text.partition(" ")
    status, _, body = rest.partition(" ")
    return Verdict(kind, int(status or 0), unescaped(body))


def _seen(text: str) -> Seen:
    method, target, *body = text.split(" ", 2)
    return Seen(method, unescaped(target).decode("latin-1"), unescaped(body[0]) if body else b"")
