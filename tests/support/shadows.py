"""A gateway whose requests are copied: its settings, and what becomes of the copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.log.lines import decode
from gateway.log.names import DIRECTORY
from gateway.log.reader import Tail
from gateway.messages import Record
from gateway.telemetry import SKIPS
from tests.support.backends import Backend
from tests.support.gateway import GatewayThread
from tests.support.settings import Settings, configuration, openai_backend, route
from tests.support.waiting import until

ALL: Settings = {"sample": "100%"}


def shadowed(
    state: Path,
    champion: Backend,
    *challengers: Backend,
    each: Settings | None = None,
    shadow: Settings | None = None,
    **more: Any,
) -> Settings:
    """A route `chat` over the champion, all of whose requests are copied to the challengers."""
    backends = {champion.name: openai_backend(champion)}
    backends |= {one.name: openai_backend(one, **(each or {})) for one in challengers}
    backends |= more.pop("backends", {})
    copies = [{"backend": one.name, **ALL, **(shadow or {})} for one in challengers]
    extra = more.pop("routes", {})
    chat = route(champion.name, shadow=copies, **{"record": {"payload": "full"}, **more})
    return configuration(backends, {"chat": chat, **extra}, state=str(state))


def ask(gateway: GatewayThread, *fields: tuple[str, str], **members: Any) -> tuple[int, bytes]:
    """Status and body of the answer to one chat request."""
    body = {"model": "chat", "messages": [{"role": "user", "content": "why?"}], **members}
    with gateway.connect(timeout_s=10) as client:
        answer = client.post_json("/v1/chat/completions", body, fields)
    return answer.status, answer.body


def row_of(gateway: GatewayThread, name: str, number: int = 0) -> dict[str, Any]:
    """The board's row of the copies to this backend."""
    [shadow] = [each for each in gateway.plan.routes[number].shadows if each.name == name]
    return gateway.board.read_row(shadow.row)


def skipped(gateway: GatewayThread, name: str) -> dict[str, int]:
    """Copies that were drawn and not sent, by reason."""
    counts = zip(SKIPS, row_of(gateway, name)["skips"], strict=False)
    return {reason: count for reason, count in counts if count}


def await_copies(gateway: GatewayThread, name: str, count: int, timeout_s: float = 5.0) -> None:
    """Return when so many copies were begun and are over."""

    def are_over() -> bool:
        row = row_of(gateway, name)
        return bool(row["requests"] == count and not row["in_flight"])

    until(are_over, timeout_s, lambda: row_of(gateway, name)["requests"])


def records_in(state: Path, count: int, kind: str = "shadow") -> list[Record]:
    """All records of this kind, as soon as there are so many."""
    tail, found = Tail(state / DIRECTORY), list[Record]()

    def look() -> bool:
        for _, data in tail.poll(1 << 24):
            records = (decode(line) for line in data.splitlines())
            found.extend(one for one in records if isinstance(one, Record) and one.kind == kind)
        return len(found) >= count

    try:
        until(look, 5.0, lambda: f"{len(found)} of {count}")
    finally:
        tail.close()
    return found
