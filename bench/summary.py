"""From samples to figures: medians over rounds, and ratios taken within each round.

Rule: a ratio is the median of the rounds' own ratios, never the ratio of two medians,
since a neighbour's noise hits all proxies of one round alike.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from bench.load.figures import median
from bench.results import ChatSample, MemorySample, Report, StreamSample

YARDSTICK = "nginx"
RECORDED, UNRECORDED = "gateway", "gateway-unrecorded"  # the same but for the prediction log
RoundFigures = dict[int, float]


STREAM_TIMES = {
    "first token p50": "first_byte_p50_us",
    "first token p99": "first_byte_p99_us",
    "gap p50": "gap_p50_us",
    "gap p99": "gap_p99_us",
}


class Effect(Struct, frozen=True):
    """What the log changes about one time of streams."""

    name: str
    on_us: float
    off_us: float
    added_us: float  # median of the rounds' differences
    noise_us: float | None  # how far apart the rounds of the same proxy are; None: only one

    @property
    def share_of_noise(self) -> float | None:
        """At most 1 where nothing can be told from noise; None when that is not known."""
        return abs(self.added_us) / self.noise_us if self.noise_us else None


class Table(Struct, frozen=True):
    """Rows of text under a title."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def chat_of(report: Report, scenario: str, proxy: str) -> list[ChatSample]:
    """One proxy's samples in one scenario."""
    return [each for each in report.chat if (each.scenario, each.proxy) == (scenario, proxy)]


def streams_of(report: Report, proxy: str) -> list[StreamSample]:
    """One proxy's stream samples."""
    return [each for each in report.streams if each.proxy == proxy]


def memory_of(report: Report, kind: str, proxy: str) -> list[MemorySample]:
    """One proxy's memory samples, fewest connections first."""
    found = [each for each in report.memory if (each.kind, each.proxy) == (kind, proxy)]
    return sorted(found, key=lambda each: each.connections)


def cpu_by_round(samples: Iterable[ChatSample | StreamSample]) -> RoundFigures:
    """CPU time by round."""
    return {each.round: each.cpu_us for each in samples}


def ratio(figures: RoundFigures, yardstick: RoundFigures) -> float | None:
    """The median of the rounds' ratios; None when no round has both."""
    rounds = [number for number in figures if yardstick.get(number)]
    return median([figures[number] / yardstick[number] for number in rounds]) if rounds else None


def difference(figures: RoundFigures, others: RoundFigures) -> float | None:
    """The median of the rounds' differences; None when no round has both."""
    rounds = [number for number in figures if number in others]
    return median([figures[number] - others[number] for number in rounds]) if rounds else None


def added_us(report: Report, scenario: str, proxy: str = RECORDED) -> float | None:
    """CPU time per request of the traffic processes that the log adds."""
    found = (cpu_by_round(chat_of(report, scenario, name)) for name in (proxy, UNRECORDED))
    return difference(*found)


def is_recorded(report: Report) -> bool:
    """Whether requests to the gateway were recorded; old results are from before the log."""
    return any(each.shipping for each in report.chat if each.proxy == RECORDED)


def stream_effects(report: Report) -> list[Effect]:
    """What the log changes about streams; nothing where it was not measured with and without."""
    on, off = (streams_of(report, name) for name in (RECORDED, UNRECORDED))
    return [effect_of(name, field, on, off) for name, field in STREAM_TIMES.items()] * bool(
        on and off
    )


def effect_of(
    name: str, field: str, on: Sequence[StreamSample], off: Sequence[StreamSample]
) -> Effect:
    """One time with and without the log."""
    first, second = ({each.round: getattr(each, field) for each in some} for some in (on, off))
    spreads = [max(each.values()) - min(each.values()) for each in (first, second) if len(each) > 1]
    added = difference(first, second)
    return Effect(
        name,
        median([*first.values()]),
        median([*second.values()]),
        0.0 if added is None else added,
        max(spreads, default=None),
    )


def chat_ratio(
    report: Report, proxy: str, scenario: str, other: tuple[str, str] | None = None
) -> float | None:
    """A proxy's CPU time against another (proxy, scenario); against nginx in the same one."""
    yardstick = other or (YARDSTICK, scenario)
    return ratio(
        cpu_by_round(chat_of(report, scenario, proxy)),
        cpu_by_round(chat_of(report, yardstick[1], yardstick[0])),
    )


def stream_ratio(report: Report, proxy: str, other: str = YARDSTICK) -> float | None:
    """A proxy's CPU time per event against another's."""
    return ratio(cpu_by_round(streams_of(report, proxy)), cpu_by_round(streams_of(report, other)))


def proxies_in(
    samples: Iterable[ChatSample | StreamSample | MemorySample],
) -> list[str]:
    """The proxies, in the order they were first measured in; the rig alone comes last."""
    names = list(dict.fromkeys(each.proxy for each in samples))
    return sorted(names, key=lambda name: name == "direct")


def middle(samples: Sequence[object], name: str) -> float:
    """The median of one field."""
    return median([getattr(each, name) for each in samples])


def times(value: float | None) -> str:
    """A ratio as text."""
    return "" if value is None else f"{value:.2f}"
