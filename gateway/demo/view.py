"""The live view: one screen, drawn anew from the chronicle as often as asked."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from gateway.demo.figures import Backend, Chronicle, Route, Second, Status
from gateway.demo.models import BY_NAME, DEAREST
from gateway.demo.stage import Place
from gateway.demo.story import narration
from gateway.demo.traffic import Tally
from gateway.demo.words import curl, dearest_usd, ms, share, state_words, usd

WIDE, TALL = 104, 30
GAP = 2
# Columns but the bars; what a model is like comes behind its name where there is room.
WIDTHS = (8, 19, 5, 4, 6, 7, 7)
ABOUT = 15
LABEL = 13
_BARS = " ▁▂▃▄▅▆▇█"
_STATE_STYLES = {"up": "green", "open": "bold red", "probing": "yellow", "cooling_down": "yellow"}
_HEALTH_STYLES = {"ok": "green", "degraded": "yellow", "down": "bold red"}
_COLORS = {
    "thrifty": "cyan",
    "swift": "magenta",
    "flaky": "yellow",
    "narrator": "blue",
    "fraud-a": "green",
    "fraud-b": "bright_green",
    "fraud-c": "red",
    "fraud-d": "bright_cyan",
}


class Screen(Struct, frozen=True):
    """Everything on the screen; rich asks it for its lines."""

    place: Place
    chronicle: Chronicle
    tally: Tally
    now_s: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        status = self.chronicle.latest
        if status is None:
            yield Text("The gateway is starting.", style="dim")
            return
        width, height = options.max_width, options.height or console.height
        parts: list[RenderableType] = [self._title(status), self._narration(width), Text()]
        parts += [backends(status, self.chronicle, width), Text()]
        if height >= TALL:
            parts += [routes(status, width), Text()]
        parts += [self._sums(status), Text()]
        used = sum(len(console.render_lines(part, options)) for part in parts)
        last = self._addresses(width)
        left = height - used - len(console.render_lines(last, options)) - 1
        yield Group(*parts, self._events(max(0, min(left, 6))), last)

    def _title(self, status: Status) -> RenderableType:
        up = sum(worker.is_up for worker in status.workers)
        title = Text.assemble(
            (" inference gateway ", "bold"),
            (f"{status.version}, {up} workers, {self.now_s:.0f} s ", "dim"),
        )
        return Rule(title, style="dim", align="left")

    def _narration(self, width: int) -> RenderableType:
        text = Text.assemble(("▶ ", "bold cyan"), (narration(self.chronicle), "bold"))
        return Padding(text, (0, 0, 0 if len(text) > width else 1, 0))

    def _sums(self, status: Status) -> RenderableType:
        tally, style = self.tally, _HEALTH_STYLES.get(status.health, "")
        lines = Table.grid(padding=(0, 2))
        lines.add_row(Text("Gateway", "dim"), Text(f"● {status.sentence}", style))
        lines.add_row(
            Text("Clients", "dim"),
            Text.assemble(
                (f"{tally.answered:,} answered", "green"),
                ", ",
                (f"{tally.failed} failed", "bold red" if tally.failed else "green"),
                f", {tally.rescued:,} saved by another attempt",
            ),
        )
        lines.add_row(
            Text("Cost", "dim"),
            Text.assemble(
                (usd(status.cost_usd), "bold"),
                (f", {usd(dearest_usd(status))} had {DEAREST.name} answered all", "dim"),
            ),
        )
        return lines

    def _events(self, count: int) -> RenderableType:
        lines = [
            Text.assemble((f"{event.at_s:6.1f} s  ", "dim"), event.sentence)
            for event in self.chronicle.events[-count:]
        ]
        return Group(*lines, *[Text()] * (count - len(lines)))

    def _addresses(self, width: int) -> RenderableType:
        place = self.place
        lines = Table.grid(padding=(0, 2))
        lines.add_row(Text("Status page", "dim"), Text(f"{place.admin_url}/", "cyan"))
        lines.add_row(Text("Metrics", "dim"), Text(f"{place.admin_url}/metrics", "cyan"))
        lines.add_row(Text("Try it", "dim"), Text(curl(place, width - LABEL)))
        return Group(lines, Text("Ctrl-C ends it.", "dim"))


def backends(status: Status, chronicle: Chronicle, width: int) -> Table:
    """One line a backend."""
    spark_width = middle(width)
    table = _table(("BACKEND", "STATE", "LATELY", "SHARE", "BUSY", "P50", "P95", "COST"), width)
    seconds = {b.name: chronicle.seconds(b.name, spark_width) for b in status.backends}
    most = max((s.attempts for each in seconds.values() for s in each), default=1)
    shares = chronicle.shares()
    for backend in status.backends:
        name = backend.name
        table.add_row(
            _name(name, width),
            _state(backend),
            spark(seconds[name], most, spark_width, _COLORS[name]),
            share(shares[name]),
            str(backend.now.in_flight),
            ms(backend.first_byte.p50_s),
            ms(backend.first_byte.p95_s),
            usd(backend.totals.cost_usd),
        )
    return table


def routes(status: Status, width: int) -> Table:
    """One line a route."""
    table = _table(("ROUTE", "POLICY", "ASKS", "REQ/S", "GOOD", "P50", "P95", "COST"), width)
    for route in status.routes:
        table.add_row(
            route.name,
            route.policy,
            split(route, middle(width)),
            f"{route.traffic.requests_per_s:.0f}",
            share(route.traffic.success_share),
            ms(route.total.p50_s),
            ms(route.total.p95_s),
            usd(route.totals.cost_usd),
        )
    return table


def middle(width: int) -> int:
    """What is left for the bars when every other column has its width."""
    widths = sum(WIDTHS) + GAP * len(WIDTHS) + (ABOUT if width >= WIDE else 0)
    return max(6, min(60, width - widths))


def _table(titles: Sequence[str], width: int) -> Table:
    """Both tables have columns of the same widths, so that they stand under each other."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    first, second, *rest = WIDTHS
    table.add_column(titles[0], no_wrap=True, width=first + (ABOUT if width >= WIDE else 0))
    table.add_column(titles[1], no_wrap=True, width=second)
    table.add_column(titles[2], no_wrap=True, width=middle(width))
    for title, size in zip(titles[3:], rest, strict=True):
        table.add_column(title, no_wrap=True, justify="right", width=size)
    return table


def _name(name: str, width: int) -> Text:
    text = Text(f"{name:<{WIDTHS[0]}}", _COLORS[name])
    return text.append(f" {BY_NAME[name].is_like}", "dim") if width >= WIDE else text


def _state(backend: Backend) -> Text:
    style = _STATE_STYLES.get(backend.now.state, "green")
    return Text(f"{'○' if backend.now.state == 'open' else '●'} {state_words(backend)}", style)


def split(route: Route, width: int) -> Text:
    """Whom the route asks, as one bar in the backends' colours."""
    rates = [candidate.attempts_per_s for candidate in route.candidates]
    total = sum(rates)
    text, drawn, summed = Text(), 0, 0.0
    for candidate, rate in zip(route.candidates, rates, strict=True):
        summed += rate
        upto = round(width * summed / total) if total else 0
        text.append("━" * (upto - drawn), _COLORS[candidate.backend])
        drawn = upto
    return text


def spark(seconds: Sequence[Second], most: int, width: int, color: str) -> Text:
    """Attempts a second as bars, the newest on the right; red where the breaker was open."""
    text = Text(" " * (width - len(seconds)))
    for second in seconds:
        level = -(-second.attempts * (len(_BARS) - 1) // max(most, 1))
        if second.is_open:
            text.append(_BARS[level] if second.attempts else "×", "red")
        else:
            text.append(_BARS[level] if second.attempts else "·", color if level else "dim")
    return text
