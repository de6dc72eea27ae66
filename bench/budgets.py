"""The budgets of the design, compared with what a report shows.

Everything on means key check, limits, routing over 8 candidates, breaker, histograms,
usage and price, one durable record. What is not built is not claimed: a verdict says what
its figure is without, or how much less than the budget means it was measured over.

`python -m bench.budgets [FILE] [--strict]` prints the comparison; only `--strict` makes
a missed budget, or one that was not measured, an exit status.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from bench import results
from bench.load.figures import median
from bench.results import Report
from bench.summary import (
    RECORDED,
    UNRECORDED,
    YARDSTICK,
    Table,
    added_us,
    chat_of,
    chat_ratio,
    is_recorded,
    memory_of,
    middle,
    stream_effects,
    stream_ratio,
)
from bench.terminal import drawn, make_console

ROUTED = (
    "least_loaded",
    "cheapest",
)  # over eight candidates, with all that runs by now
KIB = 1024
KAFKA, RECORD = r"^shipper/kafka_backlog$", r"^record/8_candidates$"  # kernels
STORE_RECORDS = 10_000_000  # that the budgets of the store mean


class Budget(Struct, frozen=True):
    """One limit, and where its figure is found; without one it is there to be seen."""

    name: str
    unit: str
    limit: float | None
    figure: Callable[[Report], float | None]
    stretch: float | None = None
    is_floor: bool = False  # the figure must not be smaller than the limit
    caveat: Callable[[Report], str] | None = None  # what the figure is without


class Verdict(Struct, frozen=True):
    """A budget beside its figure; None was not measured."""

    budget: Budget
    figure: float | None
    caveat: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the limit holds; None when there is no figure, or no limit."""
        if self.figure is None or self.budget.limit is None:
            return None
        if self.budget.is_floor:
            return self.figure >= self.budget.limit
        return self.figure <= self.budget.limit


def unbuilt(report: Report) -> str:
    """What everything on does not hold yet."""
    return "without key check" if is_recorded(report) else "without key check and record"


def routed_ratio(proxy: str, other: str) -> Callable[[Report], float | None]:
    """The dearer of a proxy's routed scenarios against another proxy's plain forwarding."""

    def figure(report: Report) -> float | None:
        found = [chat_ratio(report, proxy, name, (other, "chat")) for name in ROUTED]
        return max((each for each in found if each is not None), default=None)

    return figure


def unrecorded_ratio(report: Report) -> float | None:
    """The same without the log; before there was one, that was the gateway itself."""
    proxy = UNRECORDED if is_recorded(report) else RECORDED
    return routed_ratio(proxy, YARDSTICK)(report)


def routed_user_us(report: Report) -> float | None:
    """User-space time per request, the dearer of the routed scenarios."""
    found = [chat_of(report, name, RECORDED) for name in ROUTED]
    return max((middle(each, "user_us") for each in found if each), default=None)


def log_us(report: Report) -> float | None:
    """What the log adds to a request, the dearer of the routed scenarios."""
    found = [added_us(report, name) for name in ROUTED]
    return max((each for each in found if each is not None), default=None)


def shipper_us(report: Report) -> float | None:
    """What a record costs the shipper beside the load, the dearer of the routed scenarios."""
    logs = [[each.shipping for each in chat_of(report, name, RECORDED)] for name in ROUTED]
    found = [[each.each_us for each in some if each and each.shipped] for some in logs]
    return max((median(each) for each in found if each), default=None)


def stream_noise(report: Report) -> float | None:
    """What the log changes about the times of streams, as a part of what rounds differ by."""
    found = [each.share_of_noise for each in stream_effects(report)]
    return max((each for each in found if each is not None), default=None)


def question_ms(pattern: str) -> Callable[[Report], float | None]:
    """The mean of a question to the store; the slowest when several fit."""

    def figure(report: Report) -> float | None:
        asked = report.store.questions if report.store else ()
        fit = [each.mean_ms for each in asked if re.search(pattern, each.name)]
        return max(fit, default=None)

    return figure


def store_size(report: Report) -> str:
    """Over how many records, where they are fewer than the budgets mean."""
    records = report.store.records if report.store else 0
    return "" if records >= STORE_RECORDS else f"over {records:,} records"


def event_ratio(report: Report) -> float | None:
    """CPU time per relayed event against nginx."""
    return stream_ratio(report, "gateway", YARDSTICK)


def kilobytes_each(kind: str) -> Callable[[Report], float | None]:
    """Memory per connection where most of them were open."""

    def figure(report: Report) -> float | None:
        samples = memory_of(report, kind, "gateway")
        return samples[-1].bytes_each / KIB if samples else None

    return figure


def stall_ms(report: Report) -> float | None:
    """The largest stall under 10,000 open streams, less the rig's own."""
    ours, own = (memory_of(report, "stream", name) for name in ("gateway", "direct"))
    return max(0.0, ours[-1].stall_us - own[-1].stall_us) / 1e3 if ours and own else None


def two_workers(report: Report) -> float | None:
    """What two workers do against one.

    With four cores it is the throughput. With fewer both workers share the proxy's core,
    and it is twice the ratio of CPU per request: what the second core would give if the
    kernel scaled; that is a projection, and the table says so.
    """
    one, two = (chat_of(report, "workers", name) for name in ("gateway", "gateway x2"))
    if not one or not two:
        return None
    if report.machine.cores >= 4:
        return middle(two, "requests_per_s") / middle(one, "requests_per_s")
    return 2 * middle(one, "cpu_us") / middle(two, "cpu_us")


def kernel_ns(pattern: str, each_ns: float = 1.0) -> Callable[[Report], float | None]:
    """The micro-benchmark whose name holds the pattern, in units of so many nanoseconds.

    When several do it is the slowest.
    """

    def figure(report: Report) -> float | None:
        fit = [each.ns / each_ns for each in report.kernels if re.search(pattern, each.name)]
        return max(fit, default=None)

    return figure


EVERYTHING = "CPU per request, everything on, against"
BUDGETS = (
    Budget(
        "CPU per request, 8 candidates, not recorded, against nginx", "x", 1.25, unrecorded_ratio
    ),
    Budget(
        *(f"{EVERYTHING} nginx", "x", 1.4, routed_ratio(RECORDED, YARDSTICK), 1.0),
        caveat=unbuilt,
    ),
    Budget(
        *(f"{EVERYTHING} Envoy", "x", 0.7, routed_ratio(RECORDED, "envoy"), 0.5),
        caveat=unbuilt,
    ),
    Budget(
        *("user-space CPU per request, everything on", "us", 9.0, routed_user_us, 6.0),
        caveat=unbuilt,
    ),
    Budget("CPU a request that the log adds", "us", 3.0, log_us),
    Budget("CPU a record in the shipper with the local store", "us", None, shipper_us),
    Budget("CPU a record in the shipper to Kafka", "us", 3.0, kernel_ns(KAFKA, 1e3), 1.5),
    Budget("record: build, encode, append", "us", 2.5, kernel_ns(RECORD, 1e3), 1.5),
    Budget("CPU per relayed event against nginx", "x", 1.15, event_ratio, 1.0),
    Budget(
        "first token and gaps, log on against off, in spreads of rounds", "x", 1.0, stream_noise
    ),
    Budget("routing decision, 8 candidates", "ns", 300.0, kernel_ns(r"^routes/.*(?<!\d)8$")),
    Budget("routing decision, 64 candidates", "ns", 1500.0, kernel_ns(r"^routes/.*(?<!\d)64$")),
    Budget("histogram insert", "ns", 15.0, kernel_ns(r"^histogram/\w+_add$")),
    Budget("bucket hash", "ns", 25.0, kernel_ns(r"^hashing/bucket")),
    Budget("assignment to an arm", "ns", 150.0, kernel_ns(r"^layers/by_")),
    Budget("memory per idle connection", "KiB", 6.0, kilobytes_each("idle")),
    Budget("memory per open stream", "KiB", 24.0, kilobytes_each("stream")),
    Budget("largest stall under open streams, beyond the rig's own", "ms", 100.0, stall_ms),
    Budget("two workers against one", "x", 1.8, two_workers, is_floor=True),
    Budget("explain by id", "ms", 200.0, question_ms("^explain$"), caveat=store_size),
    Budget(
        *("search a day with three filters", "ms", 3000.0, question_ms("^search a day, 3 filters")),
        caveat=store_size,
    ),
    Budget(
        *("production at a past time", "ms", 1000.0, question_ms("^production at a past time$")),
        caveat=store_size,
    ),
)


def compare(report: Report) -> list[Verdict]:
    """Every budget with the report's figure."""
    return [
        Verdict(budget, budget.figure(report), budget.caveat(report) if budget.caveat else "")
        for budget in BUDGETS
    ]


def all_met(verdicts: Sequence[Verdict]) -> bool:
    """Whether every budget was measured and is met."""
    return all(each.is_met for each in verdicts if each.budget.limit is not None)


def word(verdict: Verdict) -> str:
    """The verdict in a word, and what it is without."""
    if verdict.figure is None:
        return "not measured"
    return ", ".join(filter(None, (bare_word(verdict), verdict.caveat)))


def bare_word(verdict: Verdict) -> str:
    """The verdict of a figure."""
    stretch = verdict.budget.stretch
    if verdict.budget.limit is None:
        return "no limit"
    if stretch is not None and verdict.figure is not None and verdict.figure <= stretch:
        return "met, and the stretch"
    return "met" if verdict.is_met else "missed"


def table(verdicts: Sequence[Verdict]) -> Table:
    """One budget a row."""
    header = ("budget", "limit", "stretch", "measured", "verdict")
    return Table("Budgets", header, tuple(cells(verdict) for verdict in verdicts))


def cells(verdict: Verdict) -> tuple[str, ...]:
    """One row; a ratio is written before its unit, as in 1.25 x."""
    budget = verdict.budget
    sign = ">=" if budget.is_floor else "<="
    stretch = "" if budget.stretch is None else f"{budget.stretch:g} {budget.unit}"
    measured = "" if verdict.figure is None else f"{verdict.figure:.2f} {budget.unit}"
    return (
        budget.name,
        "" if budget.limit is None else f"{sign} {budget.limit:g} {budget.unit}",
        stretch,
        measured,
        word(verdict),
    )


def latest(folder: Path = results.FOLDER) -> Path:
    """The newest result; raises ValueError when there is none."""
    found = sorted(folder.glob("*.json"), key=lambda path: results.load(path).date)
    if not found:
        raise ValueError(f"no results in {folder.name}/; `python -m bench all` makes some")
    return found[-1]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="bench.budgets", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="a result (default: the newest)")
    parser.add_argument("--strict", action="store_true", help="fail unless all are met")
    asked = parser.parse_args(arguments)
    verdicts = compare(results.load(asked.file or latest()))
    make_console().print(drawn(table(verdicts)))
    return int(asked.strict and not all_met(verdicts))


if __name__ == "__main__":
    sys.exit(main())
