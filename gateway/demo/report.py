"""The demo in lines: what happens as it happens, and the sums at the end."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.demo.afterwards import Afterwards
from gateway.demo.figures import (
    CLOSED,
    HALF_OPEN,
    OPEN,
    PROMOTED,
    ROLLED_BACK,
    Chronicle,
    Event,
    Status,
)
from gateway.demo.models import BY_NAME, DEAREST, MORTAL
from gateway.demo.stage import Place
from gateway.demo.story import narration
from gateway.demo.traffic import Tally
from gateway.demo.words import STATES, curl, dearest_usd, ms, share, state_words, usd
from gateway.explanation.page import page

EVERY_S = 2.0
WIDE = 96


class Lines:
    """Prints what is new."""

    def __init__(self, console: Console, chronicle: Chronicle, tally: Tally) -> None:
        self._console = console
        self._chronicle, self._tally = chronicle, tally
        self._told = 0
        self._narrated = ""
        self._due_s = 0.0

    def add(self, now_s: float) -> None:
        """Whatever has happened since the last call."""
        for event in self._chronicle.events[self._told :]:
            self._say(event.at_s, event.sentence)
        self._told = len(self._chronicle.events)
        sentence = narration(self._chronicle)
        if sentence != self._narrated:
            self._narrated = sentence
            self._say(now_s, sentence)
        if now_s >= self._due_s:
            self._due_s = now_s + EVERY_S
            self._say(now_s, self._sums())

    def _say(self, at_s: float, sentence: str) -> None:
        self._console.print(f"{at_s:6.1f} s  {sentence}", soft_wrap=True, highlight=False)

    def _sums(self) -> str:
        status, shares = self._chronicle.latest, self._chronicle.shares()
        if status is None:
            return ""
        parts = [f"{self._tally.answered} answered, {self._tally.failed} failed"]
        parts += [f"{b.name} {share(shares[b.name])} {state_words(b)}" for b in status.backends]
        return " | ".join(parts)


def addresses(place: Place) -> str:
    """Where to look while it runs."""
    return (
        f"Data port    {place.data_url}\n"
        f"Status page  {place.admin_url}/\n"
        f"Metrics      {place.admin_url}/metrics\n"
        f"Try it       {curl(place, 10_000)}"
    )


def explanation(console: Console, afterwards: Afterwards) -> None:
    """What `gateway explain` says of one request that another backend had to answer."""
    if afterwards.rescue is None:
        return
    console.print(
        Text(
            "\nOne request that its first backend let down, as `gateway explain` tells it:\n",
            "bold",
        )
    )
    console.print(Text(page(afterwards.rescue)), soft_wrap=True)


def drift(console: Console, afterwards: Afterwards) -> None:
    """What `gateway drift` says of inputs whose unit somebody changed."""
    if not afterwards.drift:
        return
    console.print(
        Text("\nThe inputs of fraud's models before and after, as `gateway drift status` does:\n",
             "bold")
    )  # fmt: skip
    console.print(Text(afterwards.drift), soft_wrap=True)


def summary(
    console: Console, chronicle: Chronicle, tally: Tally, afterwards: Afterwards, seconds: float
) -> None:
    """The table of backends and what it all came to."""
    status = chronicle.latest
    if status is None:
        console.print("The demo ended before the gateway was looked at.")
        return
    console.print()
    console.print(table(status, console.width))
    facts = Table.grid(padding=(0, 2))
    for label, text in _facts(status, chronicle, tally, seconds):
        facts.add_row(Text(label, "bold"), text)
    for sink in afterwards.sinks:
        facts.add_row(Text("Log", "bold"), sink.sentence)
    console.print(facts)


def table(status: Status, width: int) -> Table:
    """One line a backend, since the start; what it is like where there is room for it."""
    total = sum(backend.totals.requests for backend in status.backends)
    rows = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("Backend", *(["Like"] if width >= WIDE else []), "State"):
        rows.add_column(title, no_wrap=True)
    for title in ("Attempts", "Share", "Good", "p50", "p95", "Cost"):
        rows.add_column(title, justify="right", no_wrap=True)
    for backend in status.backends:
        count = backend.totals.requests
        rows.add_row(
            backend.name,
            *([BY_NAME[backend.name].is_like] if width >= WIDE else []),
            STATES.get(backend.now.state, backend.now.state),
            str(count),
            share(count / total if total else None),
            share(backend.success_share),
            ms(backend.first_byte.p50_s),
            ms(backend.first_byte.p95_s),
            usd(backend.totals.cost_usd),
        )
    return rows


def _facts(
    status: Status, chronicle: Chronicle, tally: Tally, seconds: float
) -> list[tuple[str, str]]:
    facts = [
        ("Clients", f"{tally.answered} answered, {tally.failed} failed in {seconds:.0f} s"),
        ("Fail-over", f"{tally.rescued} answered by another attempt than the first"),
        ("Breaker", f"{MORTAL.name}: {_history(chronicle.events)}"),
        ("Rollouts", _rollouts(chronicle.events)),
        ("Cost", _cost(status)),
    ]
    facts += [("Failed", f"{count} times {what}") for what, count in tally.failures.items()]
    return facts


def _history(events: list[Event]) -> str:
    words = {OPEN: "opened", HALF_OPEN: "half open", CLOSED: "closed"}
    own = [e for e in events if e.subject == MORTAL.name and e.what in words]
    return ", ".join(f"{words[e.what]} after {e.at_s:.1f}s" for e in own) or "never opened"


def _rollouts(events: list[Event]) -> str:
    words = {ROLLED_BACK: "rolled back", PROMOTED: "promoted"}
    own = [e for e in events if e.what in words]
    said = ", ".join(f"{e.subject} {words[e.what]} after {e.at_s:.1f}s" for e in own)
    return said or "none was decided"


def _cost(status: Status) -> str:
    return (
        f"{usd(status.cost_usd)}; {usd(dearest_usd(status))} had {DEAREST.name} answered all"
        " language requests"
    )
