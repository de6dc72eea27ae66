"""Draws the tables of docs/drift-detection.md, of detection and of false alarms.

`python -m bench.drift.detection.tables [DETECTION,NULLS]`: two results, a comma between.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.drift import nulls
from bench.drift.detection import digits, findings
from bench.drift.detection.findings import Cell, Rank, Results, Share, Watch, summed
from bench.drift.detection.sensors import ALL, SIZES
from bench.drift.detection.watch import STEP
from bench.drift.nulls import Nulls
from bench.page import Page, markdown
from bench.summary import Table

SIGNS: dict[Rank, str] = {"first": "▲", "level": "=", "behind": "▼"}
MOST_BEHIND = 0  # cells and rows
Choice = Callable[[Cell], bool]


def of_shifts(cell: Cell) -> bool:
    """Whether there is anything to be found."""
    return cell.shift != digits.NONE


def false_alarms(results: Results, method: str) -> Share:
    """Of the seeds' samples without a shift, on average over sizes.

    Why not their sum: a smaller sample is the beginning of a larger one.
    """
    told = summed(one for one in results.digits if one.method == method and not of_shifts(one))
    return Share(round(told.rate * results.seeds), results.seeds)


def at_level(results: Results) -> list[str]:
    """Other methods that may be compared with."""
    methods = dict.fromkeys(one.method for one in results.digits if not one.is_ours)
    return [each for each in methods if false_alarms(results, each).is_at_level]


def told(results: Results, method: str, size: int, choice: Choice = of_shifts) -> Share:
    """Detections in samples of this size that are chosen."""
    return summed(
        one for one in results.digits if (one.method, one.size) == (method, size) and choice(one)
    )


def digits_rank(results: Results, size: int, choice: Choice) -> tuple[Share, Share, Rank]:
    """(ours, the best other's at its level, where ours is)."""
    ours = told(results, ALL, size, choice)
    others = [told(results, method, size, choice) for method in at_level(results)]
    best = max(others, key=lambda one: one.rate, default=Share(0, 1))
    return ours, best, ours.ranked(others)


def by_method(results: Results) -> Table:
    """As the paper's table 1a."""
    level = at_level(results)
    methods = dict.fromkeys((one.method, one.is_ours) for one in results.digits)
    rows = [
        (
            method if is_ours or method in level else f"{method} †",
            f"{false_alarms(results, method).rate:.3f}",
            *(spread(told(results, method, size)) for size in SIZES),
        )
        for method, is_ours in methods
    ]
    header = ("method", "false alarms", *map(str, SIZES))
    return Table("Digits: shifts found, by size of sample", header, tuple(rows))


def by_choice(results: Results, title: str, choices: Iterable[tuple[str, Choice]]) -> Table:
    """Ours beside the best other."""
    rows = [
        (name, *(_cell(*digits_rank(results, size, choice)) for size in SIZES))
        for name, choice in choices
    ]
    return Table(title, ("ours / best other", *map(str, SIZES)), tuple(rows))


def _cell(ours: Share, best: Share, rank: Rank) -> str:
    return f"{ours.rate:.2f} / {best.rate:.2f} {SIGNS[rank]}"


def spread(share: Share) -> str:
    """A rate and half its interval."""
    low, high = share.interval
    return f"{share.rate:.3f} ± {(high - low) / 2:.3f}"


def stream_rank(ours: Watch, others: Iterable[Watch]) -> Rank:
    """By detections; where these are level by the delay, a step of ours being no difference."""
    able = [one for one in others if one.false.is_at_level]
    rank = ours.told.ranked(one.told for one in able)
    delays = [
        one.median
        for one in able
        if one.median is not None and one.told.ranked([ours.told]) != "behind"
    ]
    if rank != "level" or not delays or ours.median is None:
        return rank
    if ours.median > min(delays) + STEP:
        return "behind"
    return "first" if ours.median < min(delays) - STEP else "level"


def of_streams(results: Results) -> Table:
    """A row a stream and a detector."""
    rows: list[tuple[str, ...]] = []
    for ours in (one for one in results.streams if one.is_ours):
        each = [one for one in results.streams if one.stream == ours.stream]
        rank = stream_rank(ours, [one for one in each if not one.is_ours])
        for one in each:
            sign = SIGNS[rank] if one.is_ours else ("" if one.false.is_at_level else "†")
            rows.append(
                (
                    f"{one.stream} ({ours.watched}): {one.system} {sign}".rstrip(),
                    str(one.told.runs),
                    spread(one.false),
                    spread(one.told),
                    spread(Share(one.told.runs - one.told.found, one.told.runs)),
                    _values(one.median),
                    _values(one.p90),
                )
            )
    header = ("stream and detector", "runs", "false alarms", "found", "missed", "delay", "p90")
    return Table("Streams: found after the change, and after how many values", header, tuple(rows))


def _values(number: float | None) -> str:
    return "–" if number is None else f"{number:,.0f}"


def null_tables(found: Nulls) -> list[Table]:
    """False alarms, PSI's null, outliers."""
    made: list[Table] = []
    for title in dict.fromkeys(one.table for one in found.rates):
        some = [one for one in found.rates if one.table == title]
        sizes = sorted({one.size for one in some})
        by = {(one.system, one.size): one.told for one in some}
        rows = tuple(
            (system, *(_rate(by.get((system, size))) for size in sizes))
            for system in dict.fromkeys(one.system for one in some)
        )
        made.append(Table(title, ("nothing has drifted", *(f"{size:,}" for size in sizes)), rows))
    moments = tuple(
        (
            f"{one.bins} bins, {one.size:,} values",
            f"{one.mean:.4f}",
            f"{one.formula:.4f}",
            f"{one.large.rate:.3f}",
            f"{one.significant.rate:.3f}",
        )
        for one in found.moments
    )
    header = ("no drift", "PSI, mean", "formula", "at least 0.1", "significant, 5 %")
    made.append(Table("PSI without drift, reference of 10,000", header, moments))
    counts = sorted({one.outliers for one in found.attacks})
    scores = {(one.system, one.outliers): one.psi for one in found.attacks}
    rows = tuple(
        (system, *(f"{scores[system, count]:.4f}" for count in counts))
        for system in dict.fromkeys(one.system for one in found.attacks)
    )
    names = ("PSI of a shift of half a deviation", *(f"{count} outliers" for count in counts))
    return [*made, Table("Outliers of 1000 among 10,000 values", names, rows)]


def _rate(share: Share | None) -> str:
    return "" if share is None else spread(share)


def tables(results: Results) -> list[Table]:
    """Detection."""
    shifts = [(name, _is_shift(name)) for name in digits.SHIFTS]
    shares = [(f"{share:.0%} of the sample", _is_share(share)) for share in digits.SHARES]
    return [
        by_method(results),
        by_choice(results, "Digits: by shift", [*shifts, ("all", of_shifts)]),
        by_choice(results, "Digits: by share that is shifted", shares),
        of_streams(results),
    ]


def _is_shift(name: str) -> Choice:
    return lambda cell: cell.shift == name


def _is_share(share: float) -> Choice:
    return lambda cell: of_shifts(cell) and cell.share == share


def page_part(results: Results, found: Nulls) -> str:
    """All that stands between the markers."""
    versions = ", ".join(f"{name} {number}" for name, number in results.versions.items())
    agreed = [
        f"What is called {name}'s rule on digits was its own in {one.found} of {one.runs} samples."
        for name, one in results.checked.items()
    ]
    head = [
        f"Detection: {results.date[:10]}, commit `{results.commit}`, "
        f"`python -m bench.drift.detection`, {results.seeds} seeds; {versions}.",
        f"False alarms: {found.date[:10]}, commit `{found.commit}`, "
        "`python -m bench.drift --tables`.",
        "Behind ± is half of Wilson's 95 % interval.",
        "▲ ours is above the best other, = their intervals overlap, ▼ ours is below it.",
        "† finds drift where there is none more often than 5 % and is not compared with.",
        *agreed,
        *_older("detection", results.peers_of),
        *_older("false alarms", found.peers_of),
        *(f"{sentence}." for sentence in (*results.absent, *found.absent)),
    ]
    drawn = [*tables(results), *null_tables(found)]
    return "\n".join(["\n".join(head) + "\n", *(markdown(each) for each in drawn)])


def _older(what: str, commit: str) -> list[str]:
    sentence = f"Peers' rows of {what} were made at commit `{commit}`, of the same values."
    return [sentence] if commit else []


def drawn(files: Path) -> str:
    """Of two results whose names a comma parts."""
    first, second = (files.with_name(name) for name in files.name.split(","))
    return page_part(findings.load(first), nulls.load(second))


PAGE = Page(
    Path(__file__).resolve().parents[3] / "docs" / "drift-detection.md",
    findings.FOLDER,
    drawn,
    "bench.drift.detection.tables",
)

if __name__ == "__main__":
    sys.exit(PAGE.main())
